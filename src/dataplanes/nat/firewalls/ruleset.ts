import type { Cidr } from "../../../wire/address.ts";
import { addressBytes } from "../../../wire/address.ts";
import type { Protocol } from "../../../wire/port-set.ts";

/** Where packets meet filters that can take them from us: everything before and while they are forwarded or delivered. */
export const HOOKS = ["prerouting", "input", "forward"] as const;
export type Hook = (typeof HOOKS)[number];

/** A kind of packet, by what is the same for every one of that kind; null = they differ in it, or nobody can say. */
export interface Packet {
  readonly family: 4 | 6;
  readonly protocol: Protocol;
  /** Destination port. */
  readonly port: number | null;
  readonly inBy: string;
  readonly outBy: string | null;
  readonly state: "new" | "established" | "invalid";
  /** Its connection was redirected: netfilter's status bit, on packets of both directions. */
  readonly dnat: boolean;
  readonly ctMark: number | null;
  readonly destination: "local" | "multicast" | "unicast";
  /** Every source address lies in one of these; empty = anywhere. */
  readonly from: readonly Cidr[];
  /** The same for the destination. */
  readonly to: readonly Cidr[];
}

/** Whether something holds for every packet of a kind (true), for none (false), or for some (null). */
export type Known = boolean | null;

export type Verdict =
  | { readonly kind: "accept" | "drop" | "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

/** What a rule does to every packet of a kind; null when it lets them go on, or does something to some of them only. */
export type Rule = (packet: Packet) => Verdict | null;

export interface FilterChain {
  readonly name: string;
  /** Null for a chain that is only jumped to. */
  readonly base: { readonly hook: Hook; readonly priority: number; readonly policy: "accept" | "drop" } | null;
  readonly rules: readonly Rule[];
}

/** The program that a table is read and changed by. */
export type Dialect = "nft" | "iptables-nft" | "ip6tables-nft" | "iptables-legacy" | "ip6tables-legacy";

export interface FilterTable {
  readonly dialect: Dialect;
  readonly family: "ip" | "ip6" | "inet";
  readonly name: string;
  readonly chains: ReadonlyMap<string, FilterChain>;
}

export interface Fate {
  readonly end: "accept" | "drop";
  /** The chain whose rule decided; null = the base chain's policy. */
  readonly by: string | null;
  /** Chains in the order the packet came to them. */
  readonly trail: readonly string[];
}

/** nftables itself refuses deeper jumps (NFT_JUMP_STACK_SIZE). */
const MAX_DEPTH = 16;

/**
 * What a base chain does to every packet of a kind. A rule for some of them (a port, an address) decides nothing: the
 * question is whether all that is ours passes, and whether all of it is stopped.
 */
export function fateIn(table: FilterTable, base: FilterChain, packet: Packet): Fate {
  const trail: string[] = [];
  const walk = (chain: FilterChain, depth: number): Fate | null => {
    trail.push(chain.name);
    for (const rule of chain.rules) {
      const verdict = rule(packet);
      if (verdict === null) continue;
      if (!("chain" in verdict)) {
        return verdict.kind === "return" ? null : { end: verdict.kind, by: chain.name, trail };
      }
      const next = table.chains.get(verdict.chain);
      const fate = next === undefined || depth >= MAX_DEPTH ? null : walk(next, depth + 1);
      if (fate !== null || verdict.kind === "goto") return fate;
    }
    return null;
  };
  return walk(base, 0) ?? { end: base.base?.policy ?? "accept", by: null, trail };
}

/** All conditions of one rule together. */
export function every(conditions: readonly Known[]): Known {
  if (conditions.includes(false)) return false;
  return conditions.includes(null) ? null : true;
}

/** One of several values. */
export function some(conditions: readonly Known[]): Known {
  if (conditions.includes(true)) return true;
  return conditions.includes(null) ? null : false;
}

export function not(condition: Known): Known {
  return condition === null ? null : !condition;
}

/** Interface names; `wildcard` ends a pattern (nft: `*`, iptables: `+`). */
export function matchesName(pattern: string, name: string | null, wildcard: string): Known {
  if (pattern === wildcard) return true;
  if (name === null) return null;
  return pattern.endsWith(wildcard) ? name.startsWith(pattern.slice(0, -wildcard.length)) : pattern === name;
}

const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;

/** First and last address of a network or a range, in bytes. */
export interface AddressSpan {
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

export function spanOf(network: Cidr): AddressSpan | null {
  const [base = "", bits = ""] = network.split("/");
  const first = addressBytes(base);
  if (first === null) return null;
  const last = first.map((byte, at) => byte | (0xff >> Math.min(8, Math.max(0, Number(bits) - at * 8))));
  return { first, last };
}

/** Whether all (true), none (false) or some (null) addresses of `networks` lie in `span`; empty = any of the family. */
export function liesIn(networks: readonly Cidr[], span: AddressSpan, family: 4 | 6): Known {
  // ::ffff:0:0/96 is IPv4, as text, and no IPv6 packet has such an address.
  if (span.first.length !== ADDRESS_BYTES[family]) return false;
  if (span.first.every((byte) => byte === 0) && span.last.every((byte) => byte === 0xff)) return true;
  const answers = networks.map((network): Known => {
    const one = spanOf(network);
    if (one === null || one.first.length !== span.first.length) return false;
    if (isUpTo(span.first, one.first) && isUpTo(one.last, span.last)) return true;
    return isUpTo(one.first, span.last) && isUpTo(span.first, one.last) ? null : false;
  });
  if (answers.length === 0 || answers.includes(null)) return null;
  if (answers.every((answer) => answer)) return true;
  return answers.some((answer) => answer) ? null : false;
}

function isUpTo(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) <= 0;
}

/** A mark's bits are known only where they are ours. */
export function matchesMark(mark: number | null, value: number, mask: number): Known {
  if (mark === null || (mask & ~mark) !== 0) return null;
  return (mark & mask) >>> 0 === value;
}
