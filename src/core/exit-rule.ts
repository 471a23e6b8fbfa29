import { parseAddress, parseCidr } from "../wire/address.ts";
import { ANY_HOST, parseHost } from "../wire/endpoint.ts";
import { type PortMapping, parsePortSet, settleProtocol } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import type { TextError } from "../wire/text-error.ts";

/** A destination that an exit may dial. */
export interface ExitRule {
  /**
   * `*` = every public address; `private` = every private one (RFC 1918, RFC 6598, RFC 4193); a network or an address
   * (canonical); a host name in lower case; `*.name` = every name below it, not the name itself.
   */
  readonly host: string;
  /** External side only; null = every port. */
  readonly ports: readonly PortMapping[] | null;
}

/** Every public address, and nothing else: what a relay that is an exit allows unless told otherwise. */
export const PUBLIC_ONLY: readonly ExitRule[] = [{ host: ANY_HOST, ports: null }];

/** This machine itself, by its loopback addresses: each alone, because no network opens them (exit-matcher.ts). */
export const THIS_MACHINE: readonly ExitRule[] = ["localhost", "127.0.0.1", "::1"].map((host) => ({
  host,
  ports: null,
}));

export const PRIVATE_HOSTS = "private";
export const WILDCARD_PREFIX = "*.";
const ANY_WORD = "any";
const EVERY_PORT = "*";

/** A part of the text and where it stands. */
interface Part {
  readonly text: string;
  readonly offset: number;
}

/**
 * A rule as people write it: `127.0.0.1:22`, `192.168.1.0/24:80-90`, `*.corp.example:443`, `10.0.0.5:*`, `any`,
 * `private:22,80`, `[2001:db8::/32]:53/udp`. Without ports it is every port.
 */
export function parseExitRule(text: string): Result<ExitRule, TextError> {
  const parts = split(text);
  if (!parts.ok) return parts;
  const host = parseRuleHost(parts.value.host);
  if (!host.ok) return host;
  const ports = parseRulePorts(parts.value.ports);
  return ports.ok ? ok({ host: host.value, ports: ports.value }) : ports;
}

function split(text: string): Result<{ host: Part; ports: Part | null }, TextError> {
  if (text.startsWith("[")) return splitBracketed(text);
  const colon = text.indexOf(":");
  if (colon < 0) return ok({ host: { text, offset: 0 }, ports: null });
  if (colon !== text.lastIndexOf(":")) {
    if (text.includes("/") && parseCidr(text).ok) return ok({ host: { text, offset: 0 }, ports: null });
    const error = fault("Put an IPv6 address in brackets and write the port after them.", 0, text.length);
    return err(parseAddress(text).ok ? { ...error, suggestion: `[${text}]:*` } : error);
  }
  return ok({ host: { text: text.slice(0, colon), offset: 0 }, ports: rest(text, colon + 1) });
}

/** `[2001:db8::1]:22`, `[2001:db8::/32]:22` and `[2001:db8::]/32:22`. */
function splitBracketed(text: string): Result<{ host: Part; ports: Part | null }, TextError> {
  const close = text.indexOf("]");
  if (close < 0) return err(fault('Close the IPv6 address with "]".', 0, text.length));
  const colon = text.indexOf(":", close);
  const hostEnd = colon < 0 ? text.length : colon;
  const prefix = text.slice(close + 1, hostEnd);
  if (prefix !== "" && !prefix.startsWith("/")) {
    return err(fault('Write ":" and the port after "]".', close + 1, prefix.length));
  }
  const host = { text: `${text.slice(1, close)}${prefix}`, offset: 1 };
  return ok({ host, ports: colon < 0 ? null : rest(text, colon + 1) });
}

function rest(text: string, offset: number): Part {
  return { text: text.slice(offset), offset };
}

function parseRuleHost({ text, offset }: Part): Result<string, TextError> {
  const word = text.toLowerCase();
  if (word === ANY_HOST || word === ANY_WORD) return ok(ANY_HOST);
  if (text.includes("/")) return at(offset, parseCidr(text));
  if (!text.startsWith(WILDCARD_PREFIX)) return at(offset, withoutDot(parseHost(text)));
  const below = at(offset + WILDCARD_PREFIX.length, withoutDot(parseHost(text.slice(WILDCARD_PREFIX.length))));
  if (!below.ok) return below;
  if (parseAddress(below.value).ok) {
    return err(fault('"*." stands before a name; for addresses write a network like 10.0.0.0/8.', offset, text.length));
  }
  return ok(`${WILDCARD_PREFIX}${below.value}`);
}

function parseRulePorts(ports: Part | null): Result<readonly PortMapping[] | null, TextError> {
  if (ports === null || ports.text === EVERY_PORT) return ok(null);
  const set = at(ports.offset, parsePortSet(ports.text));
  if (!set.ok) return set;
  if (set.value.ranges.some((range) => range.internalFirst !== range.first)) {
    return err(fault("A rule has ports to allow, not external:internal pairs.", ports.offset, ports.text.length));
  }
  return ok(settleProtocol(set.value, "tcp+udp"));
}

/** `example.com.` and `example.com` are the same name. */
function withoutDot(host: Result<string, TextError>): Result<string, TextError> {
  return host.ok && host.value.endsWith(".") ? ok(host.value.slice(0, -1)) : host;
}

function at<T>(offset: number, result: Result<T, TextError>): Result<T, TextError> {
  return result.ok ? result : err({ ...result.error, offset: result.error.offset + offset });
}

function fault(message: string, offset: number, length: number): TextError {
  return { message, offset, length };
}
