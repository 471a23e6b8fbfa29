import { type Cidr, parseCidr } from "../../wire/address.ts";
import { MAX_PORT } from "../../wire/endpoint.ts";
import { type Protocol, parsePortSet } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { quoted, type TextError } from "../../wire/text-error.ts";
import {
  countPorts,
  formatSpan,
  intersectSpans,
  MIN_PORT,
  type PortSpans,
  PROTOCOLS,
  spansOf,
  subtractSpans,
} from "../port-spans.ts";

/** Ports that a rule means, by protocol. */
type RulePorts = Readonly<Record<Protocol, PortSpans>>;

/** One line of the permission list: who may have which external port lead to which of its ports. */
export interface PermissionRule {
  readonly action: "allow" | "deny";
  readonly external: RulePorts;
  /** The host that the mapping leads to; null = any, IPv4 and IPv6. */
  readonly client: Cidr | null;
  readonly internal: RulePorts;
}

const EVERY_SPAN: PortSpans = [{ first: MIN_PORT, last: MAX_PORT }];
const ANY = "*";
const ANY_CLIENT = /^(?:\*|any)$/i;
/** `0-65535` is how miniupnpd's lists write it. */
const ANY_PORT = /^(?:\*|any|0-65535)(?:\/(tcp|udp|tcp\+udp|udp\+tcp))?$/i;
/** A rule is a line, not a document. */
const MAX_RULE_CHARS = 4096;
const EXAMPLE = "allow 1024-65535 192.168.1.0/24 1024-65535";

const ACTIONS: Readonly<Record<string, PermissionRule["action"]>> = { allow: "allow", deny: "deny" };
/** What other firewalls say. */
const SAME_AS: Readonly<Record<string, PermissionRule["action"]>> = {
  accept: "allow",
  permit: "allow",
  pass: "allow",
  block: "deny",
  drop: "deny",
  refuse: "deny",
  reject: "deny",
};

/** A part of the text and where it stands. */
interface Field {
  readonly text: string;
  readonly offset: number;
}

/**
 * `allow|deny EXTERNAL_PORTS CLIENT INTERNAL_PORTS`, the form of miniupnpd's list without its pattern for
 * descriptions: `allow 1024-65535 192.168.1.0/24 1024-65535`, `deny 25,6667/tcp any *`. Ports are a port set with no
 * internal side; the client is a network or an address.
 */
export function parsePermissionRule(text: string): Result<PermissionRule, TextError> {
  if (text.length > MAX_RULE_CHARS) {
    const message = `Write at most ${MAX_RULE_CHARS} characters; use several rules.`;
    return err(fault(message, MAX_RULE_CHARS, text.length - MAX_RULE_CHARS));
  }
  const [actionField, externalField, clientField, internalField, extra] = splitFields(text);
  if (actionField === undefined) return err(fault(`Write a rule like ${EXAMPLE}.`, 0, text.length));
  const action = parseAction(actionField);
  if (!action.ok) return action;
  if (externalField === undefined) return err(missing(text, "the external ports"));
  const external = parseExternal(externalField);
  if (!external.ok) return external;
  if (clientField === undefined) return err(missing(text, "the client's network"));
  const client = parseClient(clientField);
  if (!client.ok) return client;
  if (internalField === undefined) return err(missing(text, "the client's ports"));
  const internal = parsePorts(internalField);
  if (!internal.ok) return internal;
  if (extra !== undefined) {
    return err(
      fault("Remove what follows the client's ports; a rule ends there.", extra.offset, text.length - extra.offset),
    );
  }
  if (!PROTOCOLS.some((one) => external.value[one].length > 0 && internal.value[one].length > 0)) {
    const message = "Name the same protocol for the external ports and the client's; this rule would never match.";
    return err(faultAt(message, internalField));
  }
  return ok({ action: action.value, external: external.value, client: client.value, internal: internal.value });
}

/** Canonical text: parsePermissionRule reads it back to the same rule. */
export function formatPermissionRule(rule: PermissionRule): string {
  return `${rule.action} ${formatPorts(rule.external)} ${rule.client ?? ANY} ${formatPorts(rule.internal)}`;
}

/** White space separates fields, except around a comma: `80, 443` is one. */
function splitFields(text: string): Field[] {
  const fields: Field[] = [];
  for (const { 0: word, index: offset } of text.matchAll(/\S+/g)) {
    const before = fields.at(-1);
    if (before !== undefined && (before.text.endsWith(",") || word.startsWith(","))) {
      fields[fields.length - 1] = { text: text.slice(before.offset, offset + word.length), offset: before.offset };
    } else {
      fields.push({ text: word, offset });
    }
  }
  return fields;
}

function parseAction(field: Field): Result<PermissionRule["action"], TextError> {
  const word = field.text.toLowerCase();
  const action = Object.hasOwn(ACTIONS, word) ? ACTIONS[word] : undefined;
  if (action !== undefined) return ok(action);
  const error = faultAt(`Begin the rule with allow or deny, not ${quoted(field.text)}.`, field);
  const meant = Object.hasOwn(SAME_AS, word) ? SAME_AS[word] : undefined;
  return err(meant === undefined ? error : { ...error, suggestion: meant });
}

function parseExternal(field: Field): Result<RulePorts, TextError> {
  const ports = parsePorts(field);
  // `80` is a port set only; `10.0.0.0/8` is a network only: the two cannot be taken for each other.
  if (ports.ok || !parseCidr(field.text).ok) return ports;
  return err(faultAt("Write the external ports before the client's network.", field));
}

function parseClient(field: Field): Result<Cidr | null, TextError> {
  if (ANY_CLIENT.test(field.text)) return ok(null);
  return within(field, parseCidr(field.text));
}

function parsePorts(field: Field): Result<RulePorts, TextError> {
  const every = ANY_PORT.exec(field.text);
  if (every !== null) {
    const only = every[1]?.toLowerCase();
    return ok({ tcp: only === "udp" ? [] : EVERY_SPAN, udp: only === "tcp" ? [] : EVERY_SPAN });
  }
  const set = within(field, parsePortSet(field.text));
  if (!set.ok) return set;
  const { ranges } = set.value;
  if (ranges.some((range) => range.internalFirst !== range.first)) {
    return err(faultAt("Write the external ports and the client's apart, not as external:internal pairs.", field));
  }
  return ok({ tcp: spansOf(ranges, "tcp"), udp: spansOf(ranges, "udp") });
}

function formatPorts({ tcp, udp }: RulePorts): string {
  const both = intersectSpans(tcp, udp);
  if (countPorts(both) === MAX_PORT) return ANY;
  const parts = [
    ...both.map((span) => ({ span, suffix: "" })),
    ...subtractSpans(tcp, udp).map((span) => ({ span, suffix: "/tcp" })),
    ...subtractSpans(udp, tcp).map((span) => ({ span, suffix: "/udp" })),
  ];
  return parts
    .sort((a, b) => a.span.first - b.span.first)
    .map(({ span, suffix }) => `${formatSpan(span)}${suffix}`)
    .join(",");
}

function missing(text: string, what: string): TextError {
  return fault(`Add ${what}, as in ${EXAMPLE}.`, text.length, 0);
}

function within<T>(field: Field, result: Result<T, TextError>): Result<T, TextError> {
  return result.ok ? result : err({ ...result.error, offset: result.error.offset + field.offset });
}

function faultAt(message: string, field: Field): TextError {
  return fault(message, field.offset, field.text.length);
}

function fault(message: string, offset: number, length: number): TextError {
  return { message, offset, length };
}
