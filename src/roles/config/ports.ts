import { ANY_EXTERNAL } from "../../core/allocate.ts";
import { parseAddress } from "../../wire/address.ts";
import { ANY_HOST, parseHost } from "../../wire/endpoint.ts";
import { formatPortSet, type PortMapping, type PortSet, parsePortSet, settleProtocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { TextError } from "../../wire/text-error.ts";

export type ProtocolChoice = "tcp" | "udp" | "tcp+udp";

/** Entries of forwards on this machine are for this machine alone unless an address is written. */
const DEFAULT_BIND = "127.0.0.1";
const MAX_PORT = 65_535;

/** Port 0: any free port of this machine, `0/udp` in that protocol. */
const ANY_PORT = /^0(?:\/(tcp|udp))?$/;

/** `8810-8815`, `127.0.0.1:8080`, `*:80`, `[::1]:8080`, `0`: where a local, dynamic or direct forward listens. */
export interface Listen {
  readonly bind: string;
  readonly ports: PortSet;
  readonly text: string;
}

export function parseListen(text: string): Result<Listen, TextError> {
  const split = splitHost(text);
  if (!split.ok) return split;
  const { host, rest, restOffset } = split.value;
  const any = ANY_PORT.exec(rest);
  if (any !== null) {
    const protocol = (any[1] ?? null) as "tcp" | "udp" | null;
    const ports = { ranges: [{ protocol, first: 0, last: 0, internalFirst: 0 }] };
    return ok({ bind: host ?? DEFAULT_BIND, ports, text });
  }
  const ports = parsePortSet(rest);
  if (!ports.ok) return err({ ...ports.error, offset: ports.error.offset + restOffset });
  const mapped = ports.value.ranges.some((range) => range.internalFirst !== range.first);
  if (mapped) {
    return err({
      message: "Write only the ports to listen on here; the target says where they lead.",
      offset: restOffset,
      length: rest.length,
    });
  }
  return ok({ bind: host ?? DEFAULT_BIND, ports: ports.value, text });
}

/** `db`, `db:5432`, `[2001:db8::7]:80`, `host:9000-9005`. `ports` null = the same ports as the entry. */
export interface Target {
  readonly host: string;
  readonly ports: PortSet | null;
  readonly text: string;
}

export function parseTarget(text: string): Result<Target, TextError> {
  if (/^[0-9]+(-[0-9]+)?$/.test(text)) {
    return err({
      message: "Add the host before the port.",
      offset: 0,
      length: text.length,
      suggestion: `127.0.0.1:${text}`,
    });
  }
  const address = parseAddress(text);
  if (address.ok) return ok({ host: address.value, ports: null, text });
  const split = splitHost(text);
  if (!split.ok) return split;
  const { host, rest, restOffset } = split.value;
  if (host === null) {
    const name = parseHost(text);
    return name.ok ? ok({ host: name.value, ports: null, text }) : name;
  }
  if (host === ANY_HOST)
    return err({ message: "Name one host to connect to; * is for listening.", offset: 0, length: 1 });
  if (rest === "") return ok({ host, ports: null, text });
  const ports = parsePortSet(rest);
  if (!ports.ok) return err({ ...ports.error, offset: ports.error.offset + restOffset });
  return ok({ host, ports: ports.value, text });
}

/** `host` null: nothing in the text names one. A port set's own colon (`8000:80`) does not begin with a host. */
function splitHost(
  text: string,
): Result<{ readonly host: string | null; readonly rest: string; readonly restOffset: number }, TextError> {
  const head = text.slice(0, Math.max(0, text.lastIndexOf(":")));
  if (head.includes(":") && parseAddress(head).ok) {
    const suggestion = `[${head}]${text.slice(head.length)}`;
    return err({ message: "Put the IPv6 address in brackets.", offset: 0, length: text.length, suggestion });
  }
  const bracket = /^\[([^\]]*)\](?::|$)/.exec(text);
  const plain = /^([^:]*):/.exec(text);
  const isName = plain !== null && !/^[\s0-9,/-]*$/.test(plain[1] ?? "");
  if (bracket === null && !isName) {
    if (text.startsWith("["))
      return err({
        message: 'Close the IPv6 address with "]" and write ":" and the port behind it.',
        offset: 0,
        length: text.length,
      });
    return ok({ host: null, rest: text, restOffset: 0 });
  }
  const written = bracket?.[1] ?? plain?.[1] ?? "";
  const restOffset = (bracket ?? plain)?.[0].length ?? 0;
  const parsed = written === ANY_HOST ? ok(ANY_HOST) : parseHost(written);
  if (!parsed.ok) {
    return err({ ...parsed.error, offset: parsed.error.offset + (bracket === null ? 0 : 1) });
  }
  return ok({ host: parsed.value, rest: text.slice(restOffset), restOffset });
}

/** The mappings of a forward on this machine: entry ports in ascending order, each to its port at the target. */
export function pairPorts(
  listen: Listen,
  target: Target,
  protocol: ProtocolChoice,
): Result<readonly PortMapping[], string> {
  const entry = settleProtocol(listen.ports, protocol);
  if (target.ports === null) {
    return entry.some(({ first }) => first === 0)
      ? err("must name its port when any port may be the entry")
      : ok(entry);
  }
  return zipPorts(entry, settleLike(target.ports, entry, protocol), {
    fewer: (wanted, have) =>
      `${listen.text} is ${wanted} and ${target.text} is ${have}; give both the same number of ports.`,
  });
}

/**
 * The mappings of an exposed port set. `as` gives the outside numbers, paired in ascending order, one for one; `any`
 * asks the relay for free ones (ANY_EXTERNAL), a run for each run.
 */
export function exposePorts(
  ports: PortSet,
  as: PortSet | "any" | null,
  protocol: ProtocolChoice,
): Result<readonly PortMapping[], string> {
  const inside = settleProtocol(ports, protocol);
  if (as === null) return ok(inside);
  if (inside.some((mapping) => mapping.first !== mapping.internalFirst)) {
    return err("The ports say outside:inside already; leave out `as`, or write the inside ports alone.");
  }
  if (as === "any") {
    return ok(inside.map((mapping) => ({ ...mapping, first: ANY_EXTERNAL, last: mapping.last - mapping.first })));
  }
  return zipPorts(settleLike(as, inside, protocol), inside, {
    fewer: (wanted, have) => `\`as\` is ${wanted} and the ports are ${have}; give both the same number of ports.`,
  });
}

/** Where one side says its protocols, the other need not: `53/udp` leads to port 53 of `db:53` in UDP. */
function settleLike(ports: PortSet, other: readonly PortMapping[], protocol: ProtocolChoice): readonly PortMapping[] {
  const has = (name: "tcp" | "udp") => other.some((mapping) => mapping.protocol === name);
  const others = has("tcp") && has("udp") ? "tcp+udp" : has("udp") ? "udp" : "tcp";
  const saysNone = ports.ranges.every((range) => range.protocol === null);
  return settleProtocol(ports, saysNone ? others : protocol);
}

/** Pairs `outer` and `inner` one for one within each protocol, in ascending order. */
function zipPorts(
  outer: readonly PortMapping[],
  inner: readonly PortMapping[],
  sentence: { readonly fewer: (outer: string, inner: string) => string },
): Result<readonly PortMapping[], string> {
  const mappings: PortMapping[] = [];
  for (const protocol of ["tcp", "udp"] as const) {
    const from = ascending(outer, protocol);
    const to = ascending(inner, protocol);
    if (count(from) !== count(to)) return err(sentence.fewer(portCount(count(from)), portCount(count(to))));
    let used = 0;
    let next = 0;
    for (const run of from) {
      let first = run.first;
      while (first <= run.last) {
        const target = to[next];
        if (target === undefined) break;
        const length = Math.min(run.last - first + 1, target.last - target.first + 1 - used);
        mappings.push({ protocol, first, last: first + length - 1, internalFirst: target.first + used });
        first += length;
        used += length;
        if (target.first + used > target.last) {
          next++;
          used = 0;
        }
      }
    }
  }
  return ok(mappings);
}

function ascending(mappings: readonly PortMapping[], protocol: "tcp" | "udp"): readonly PortMapping[] {
  return mappings.filter((mapping) => mapping.protocol === protocol).sort((a, b) => a.first - b.first);
}

function count(mappings: readonly PortMapping[]): number {
  return mappings.reduce((sum, mapping) => sum + mapping.last - mapping.first + 1, 0);
}

function portCount(ports: number): string {
  return ports === 1 ? "1 port" : `${ports} ports`;
}

/** Mappings as a port set with every protocol said; runs that ask for any port as `any:80/tcp`. */
export function formatMappings(mappings: readonly PortMapping[]): string {
  const chosen = mappings.filter((mapping) => mapping.first !== ANY_EXTERNAL);
  const free = mappings.filter((mapping) => mapping.first === ANY_EXTERNAL);
  const freeText = free.map(({ protocol, last, internalFirst }) => {
    const end = Math.min(internalFirst + last, MAX_PORT);
    return `any:${internalFirst}${end === internalFirst ? "" : `-${end}`}/${protocol}`;
  });
  return [...(chosen.length === 0 ? [] : [formatPortSet({ ranges: chosen })]), ...freeText].join(", ");
}
