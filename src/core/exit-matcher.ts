import {
  type AddressClass,
  addressBytes,
  addressFromBytes,
  type CidrSet,
  classifyAddress,
  compileCidrs,
  parseCidr,
} from "../wire/address.ts";
import { ANY_HOST } from "../wire/endpoint.ts";
import { PRIVATE_HOSTS, WILDCARD_PREFIX } from "./exit-rule.ts";

/** Where a visit would leave to. */
export interface ExitDestination {
  /** The host as it was asked for: lower case, no dot at the end; an address is canonical. */
  readonly host: string;
  /** The address it resolved to, canonical. */
  readonly address: string;
  readonly class: AddressClass;
  /** The address is one of this machine's own: as good as loopback. */
  readonly own: boolean;
}

/** The host part of one rule, ready to compare. */
export interface HostMatcher {
  /** Whether the rule could allow the name, whatever it resolves to. */
  mayAllowName(host: string): boolean;
  allows(destination: ExitDestination): boolean;
}

/** RFC 6761 §6.3: always loopback, so naming it names loopback. */
const LOCALHOST = "localhost";
const LOCALHOST_SUFFIX = ".localhost";

/** What a destination that this machine's own configuration exposes may not be all the same: none is a service. */
const NEVER_EXPOSED: ReadonlySet<AddressClass> = new Set(["metadata", "unspecified", "multicast"]);

/** The host of a rule (`ExitRule.host`). Nothing special is opened unless the rule names it. */
export function compileHost(host: string): HostMatcher {
  if (host === ANY_HOST) return byClass("public");
  if (host === PRIVATE_HOSTS) return byClass("private");
  const cidr = parseCidr(host);
  if (cidr.ok) return network(cidr.value, compileCidrs([cidr.value]));
  if (host.startsWith(WILDCARD_PREFIX)) {
    const suffix = host.slice(WILDCARD_PREFIX.length - 1);
    return named((asked) => asked.length > suffix.length && asked.endsWith(suffix));
  }
  return named((asked) => asked === host);
}

/** The host of a forward of this machine's own configuration: trusted to lead where it says, loopback included. */
export function compileExposedHost(host: string): HostMatcher {
  const cidr = parseCidr(host);
  if (cidr.ok) return network(cidr.value, compileCidrs([cidr.value]));
  return {
    mayAllowName: (asked) => asked === host,
    allows: (destination) => destination.host === host && !NEVER_EXPOSED.has(destination.class),
  };
}

function byClass(open: AddressClass): HostMatcher {
  return { mayAllowName: () => true, allows: (destination) => destination.class === open && !destination.own };
}

/**
 * A network opens its public addresses, and special ones only when all of it is of that class: 10.0.0.0/8 opens private
 * addresses, 0.0.0.0/0 does not; no network but the address itself opens metadata or an own address.
 */
function network(cidr: string, set: CidrSet): HostMatcher {
  const { single, whole } = describeNetwork(cidr);
  return {
    mayAllowName: () => true,
    allows: (destination) =>
      set.contains(destination.address) &&
      (single || (!destination.own && (destination.class === "public" || destination.class === whole))),
  };
}

/** `whole`: the class of every address of the network that is not singled out; null when it spans several. */
function describeNetwork(cidr: string): { single: boolean; whole: AddressClass | null } {
  const slash = cidr.indexOf("/");
  const first = cidr.slice(0, slash);
  const prefix = Number(cidr.slice(slash + 1));
  const bytes = addressBytes(first) ?? new Uint8Array();
  const last = addressFromBytes(bytes.map((byte, index) => byte | (0xff >>> clamp(prefix - index * 8)))) ?? first;
  const whole = classifyAddress(first);
  return { single: prefix === bytes.length * 8, whole: classifyAddress(last) === whole ? whole : null };
}

function clamp(bits: number): number {
  return Math.min(8, Math.max(0, bits));
}

/**
 * A name opens what names commonly lead to: public and private addresses. Whoever answers for the name in DNS does not
 * get to point it at loopback, at metadata or at this machine (DNS rebinding).
 */
function named(matches: (asked: string) => boolean): HostMatcher {
  return {
    mayAllowName: matches,
    allows: (destination) => matches(destination.host) && mayLeadTo(destination),
  };
}

function mayLeadTo({ host, class: kind, own }: ExitDestination): boolean {
  if (host === LOCALHOST || host.endsWith(LOCALHOST_SUFFIX)) return kind === "loopback";
  return (kind === "public" || kind === "private") && !own;
}
