import { DROP_REASONS, type DropReason, type NatLimits, type TriggerRule } from "./state.ts";

/**
 * Names of what the kernel holds for us. All in one table; each with a prefix, because `hook` and `fwd` are words of
 * nft's language.
 */
export const FAMILY = "inet";
export const TABLE_NAME = "hatchway";
export const TABLE = `${FAMILY} ${TABLE_NAME}`;

/** A set or map whose elements follow from the entries; packets never change it. */
interface StaticSet {
  readonly kind: "set" | "map";
  readonly spec: string;
}

const PORT = "inet_proto . inet_service";
/** With a size the hash table does not grow, and a look-up, of which each packet has one, reads less memory. */
const PORT_COUNTERS = "type inet_service; size 65535; counter;";
const SPAN_COUNTERS = "type inet_service; flags interval; counter;";
const HOST6_PORT = `ipv6_addr . ${PORT}`;

/**
 * Single ports are in hash tables, ranges in interval sets (`…_spans`): one element more among 20,000 costs the same as
 * the first in a hash, and 1.3 to 2 times as much in an interval set of concatenations, where 20,000 at once take 3 s
 * instead of 0.2.
 */
export const STATIC_SETS = {
  /** External port → client. Its counters count the first packets, so: visitors. */
  hw_dnat: { kind: "map", spec: `type ${PORT} : ipv4_addr . inet_service; counter;` },
  hw_dnat_spans: { kind: "map", spec: `type ${PORT} : ipv4_addr; flags interval; counter;` },
  /** External port → the chain that says who may come. */
  hw_forwards: { kind: "map", spec: `type ${PORT} : verdict;` },
  hw_forward_spans: { kind: "map", spec: `type ${PORT} : verdict; flags interval;` },
  hw_allowed4: { kind: "set", spec: `type ${PORT} . ipv4_addr . inet_service; flags interval;` },
  hw_denied4: { kind: "set", spec: `type ${PORT} . ipv4_addr; flags interval;` },
  /** Bytes and packets by external port. A connection's original port, which these are looked up by, is no part of a concatenation. */
  hw_in_tcp: { kind: "set", spec: PORT_COUNTERS },
  hw_in_udp: { kind: "set", spec: PORT_COUNTERS },
  hw_in_tcp_spans: { kind: "set", spec: SPAN_COUNTERS },
  hw_in_udp_spans: { kind: "set", spec: SPAN_COUNTERS },
  hw_out_tcp: { kind: "set", spec: PORT_COUNTERS },
  hw_out_udp: { kind: "set", spec: PORT_COUNTERS },
  hw_out_tcp_spans: { kind: "set", spec: SPAN_COUNTERS },
  hw_out_udp_spans: { kind: "set", spec: SPAN_COUNTERS },
  /** A client's own traffic from a port that it has a forward for leaves from the forward's port. */
  hw_rsnat: { kind: "map", spec: `type ipv4_addr . ${PORT} : inet_service;` },
  hw_rsnat_spans: { kind: "set", spec: `type ipv4_addr . ${PORT}; flags interval;` },
  /** The same for pinholes, by host and port. */
  hw_pinholes: { kind: "map", spec: `type ${HOST6_PORT} : verdict;` },
  hw_pinhole_spans: { kind: "map", spec: `type ${HOST6_PORT} : verdict; flags interval;` },
  hw_visits6: { kind: "set", spec: `type ${HOST6_PORT}; counter;` },
  hw_visits6_spans: { kind: "set", spec: `type ${HOST6_PORT}; flags interval; counter;` },
  hw_allowed6: { kind: "set", spec: `type ${HOST6_PORT} . ipv6_addr . inet_service; flags interval;` },
  hw_denied6: { kind: "set", spec: `type ${HOST6_PORT} . ipv6_addr; flags interval;` },
  hw_in6: { kind: "set", spec: `type ${HOST6_PORT}; counter;` },
  hw_in6_spans: { kind: "set", spec: `type ${HOST6_PORT}; flags interval; counter;` },
  hw_out6: { kind: "set", spec: `type ${HOST6_PORT}; counter;` },
  hw_out6_spans: { kind: "set", spec: `type ${HOST6_PORT}; flags interval; counter;` },
} as const satisfies Record<string, StaticSet>;

/** TCP connections that somebody ended, by the visitor's address and port, and the port (IPv6: the address and port) that they came to. */
export const ENDED_SETS = { 4: "hw_ended4", 6: "hw_ended6" } as const;

export type StaticSetName = keyof typeof STATIC_SETS;
export const STATIC_SET_NAMES = Object.keys(STATIC_SETS) as StaticSetName[];

export function dropCounter(reason: DropReason): string {
  return `hw_drop_${reason.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}

export const DROP_COUNTERS: readonly string[] = DROP_REASONS.map(dropCounter);

/** `default`, `c64_r30`, `c64_rx`: chains and sets of one pair of limits have it in their names. */
export function limitsName(limits: NatLimits | null): string {
  if (limits === null) return "default";
  // A name has no dot.
  const rate = String(limits.newPerSourcePerSec ?? "x").replace(/[^0-9x]/g, "_");
  return `c${limits.connectionsPerSource ?? "x"}_r${rate}`;
}

/** The chain that a forward's or pinhole's first packet meets. `listed`: the entry has an `allow` or `deny` of its own. */
export function checkChain(family: 4 | 6, listed: boolean, limits: NatLimits | null): string {
  return `hw_${listed ? "listed" : "open"}${family}_${limitsName(limits)}`;
}

/**
 * The bit of the conntrack mark that pinholes' connections have: nothing else tells other firewalls which ones they are,
 * as `ct status dnat` tells them a forward's.
 */
export const PINHOLE_MARK = 0x0800_0000;
/** The bit of those that came in by a port trigger. */
export const TRIGGER_MARK = 0x0400_0000;

/** Pairs (a, a) of hosts that a trigger opened for, ever: two addresses are equal when their pair is here. */
export const TRIGGER_HOSTS = "hw_trigger_hosts";

export interface TriggerNames {
  /** Map whose one key is the family, to the host that it is open to. */
  readonly owner: string;
  /** Set that has an element while it is open. */
  readonly open: string;
  readonly armChain: string;
  readonly passChain: string;
  readonly answerChain: string;
}

/** By the rule's name and timeout, so that a changed list of rules leaves what is open to whom it is open to. */
export function triggerNames(rule: TriggerRule): TriggerNames {
  const slug = rule.name.replace(/[^A-Za-z0-9]/gu, (char) => `_${char.codePointAt(0)?.toString(16)}_`);
  const base = `hw_trigger_${slug}`;
  return {
    owner: `${base}_owner_${rule.timeoutSec}`,
    open: `${base}_open_${rule.timeoutSec}`,
    armChain: `${base}_arm`,
    passChain: `${base}_pass`,
    answerChain: `${base}_answer`,
  };
}
