import type { PortSpans } from "../../core/port-spans.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { spanText } from "./elements.ts";
import { dropCounter } from "./names.ts";
import type { DropReason } from "./state.ts";

/** A chain of the table. `hook` is its declaration when packets enter it by themselves. */
export interface Chain {
  readonly name: string;
  readonly hook: string | null;
  readonly rules: readonly string[];
}

/** A set or map with its declaration. */
export interface SetDeclaration {
  readonly name: string;
  readonly kind: "set" | "map";
  readonly spec: string;
}

/** Everything of the table but the elements that follow from entries. */
export interface Skeleton {
  readonly counters: readonly string[];
  readonly sets: readonly SetDeclaration[];
  readonly chains: readonly Chain[];
}

/** What rules call the sides of the gateway. */
export interface Sides {
  /** `iifname { "wan" }` and the like. */
  readonly fromWan: string;
  readonly toWan: string;
  /** Null = no interface inside. */
  readonly fromInside: string | null;
  readonly toInside: string | null;
  /** `{ 203.0.113.20 }`; null = no external address is known. */
  readonly external: string | null;
}

/** First packets only: a packet that is not answered yet is `new` as well. */
export const FIRST = "ct status ! confirmed";
export const PORT_KEY = "meta l4proto . th dport";
/** The key of a connection, in both directions. Of a translated one: what the visitor wrote to. */
export const ORIGINAL_PORT = "ct original proto-dst";
export const SOURCE_PORT_KEY = "meta l4proto . th sport";
/** To an address of the interface it came in by: nobody outside reaches the addresses of the other interfaces. */
export const TO_GATEWAY = "meta nfproto ipv4 fib daddr . iif type local";
/** `{ tcp . 80, udp . 1000-2000 }`, or null when there is none. */
export function portList(ports: Readonly<Record<Protocol, PortSpans>>): string | null {
  const items = (["tcp", "udp"] as const).flatMap((protocol) =>
    ports[protocol].map((span) => `${protocol} . ${spanText(span)}`),
  );
  return items.length === 0 ? null : `{ ${items.join(", ")} }`;
}

export function drop(reason: DropReason): string {
  return `counter name "${dropCounter(reason)}" drop`;
}

export function marked(mark: number): string {
  return `ct mark & ${mark} == ${mark}`;
}

export function setMark(mark: number): string {
  return `ct mark set ct mark | ${mark}`;
}

export function dynamic(type: string, size: number, timeout: string | null): string {
  const memory = timeout === null ? "flags dynamic;" : `flags dynamic,timeout; timeout ${timeout};`;
  return `type ${type}; size ${size}; ${memory}`;
}
