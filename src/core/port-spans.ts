import type { Protocol } from "../wire/port-set.ts";

/** A run of ports of one protocol, both ends inclusive. */
export interface PortSpan {
  readonly first: number;
  readonly last: number;
}

/** Any range that may or may not say its protocol: `PortRange`, `PortMapping`. */
export interface ProtocolSpan extends PortSpan {
  /** null counts for both protocols. */
  readonly protocol: Protocol | null;
}

/** Sorted, disjoint and never touching: adjacent runs are one. Made by `mergeSpans`. */
export type PortSpans = readonly PortSpan[];

export const PROTOCOLS: readonly Protocol[] = ["tcp", "udp"];

export const MIN_PORT = 1;

export function mergeSpans(spans: Iterable<PortSpan>): PortSpans {
  const sorted = [...spans].sort((a, b) => a.first - b.first);
  const merged: PortSpan[] = [];
  for (const span of sorted) {
    const previous = merged.at(-1);
    if (previous !== undefined && span.first <= previous.last + 1) {
      merged[merged.length - 1] = { first: previous.first, last: Math.max(previous.last, span.last) };
    } else {
      merged.push({ first: span.first, last: span.last });
    }
  }
  return merged;
}

/** The external ports of `ranges` that belong to `protocol`. */
export function spansOf(ranges: readonly ProtocolSpan[], protocol: Protocol): PortSpans {
  return mergeSpans(ranges.filter((range) => range.protocol === null || range.protocol === protocol));
}

/** Index of the first span that ends at or after `port`; `spans.length` when none does. O(log n). */
export function seekSpan(spans: readonly PortSpan[], port: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle] as PortSpan).last < port) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The lowest port of `span` that `spans` does not cover; null when all of it is covered. */
export function firstOutside(spans: PortSpans, span: PortSpan): number | null {
  const found = spans[seekSpan(spans, span.first)];
  if (found === undefined || span.first < found.first) return span.first;
  return span.last <= found.last ? null : found.last + 1;
}

/** The lowest port that `span` and `spans` have in common; null when they share none. */
export function firstInside(spans: PortSpans, span: PortSpan): number | null {
  const found = spans[seekSpan(spans, span.first)];
  if (found === undefined || found.first > span.last) return null;
  return Math.max(found.first, span.first);
}

/** The ports that both have. */
export function intersectSpans(a: PortSpans, b: PortSpans): PortSpans {
  const common: PortSpan[] = [];
  let other = 0;
  for (const span of a) {
    while (other < b.length && (b[other] as PortSpan).last < span.first) other++;
    for (let at = other; at < b.length; at++) {
      const { first, last } = b[at] as PortSpan;
      if (first > span.last) break;
      common.push({ first: Math.max(first, span.first), last: Math.min(last, span.last) });
    }
  }
  return common;
}

/** The ports of `spans` that `taken` does not have. */
export function subtractSpans(spans: PortSpans, taken: PortSpans): PortSpans {
  const left: PortSpan[] = [];
  for (const { first, last } of spans) {
    let from = first;
    for (let at = seekSpan(taken, first); at < taken.length && from <= last; at++) {
      const hole = taken[at] as PortSpan;
      if (hole.first > last) break;
      if (hole.first > from) left.push({ first: from, last: hole.first - 1 });
      from = hole.last + 1;
    }
    if (from <= last) left.push({ first: from, last });
  }
  return left;
}

export function countPorts(spans: readonly PortSpan[]): number {
  return spans.reduce((sum, span) => sum + span.last - span.first + 1, 0);
}

export function formatSpan(span: PortSpan): string {
  return span.first === span.last ? `${span.first}` : `${span.first}-${span.last}`;
}

/** `80, 1000-2000`; after `most` runs the rest is counted, so that a sentence stays a sentence. */
export function formatSpans(spans: PortSpans, most = 8): string {
  if (spans.length === 0) return "none";
  const shown = spans.slice(0, most).map(formatSpan).join(", ");
  return spans.length > most ? `${shown} and ${spans.length - most} more ranges` : shown;
}
