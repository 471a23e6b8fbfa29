import type { PortSpan } from "../../core/port-spans.ts";
import { checkChain, type StaticSetName } from "./names.ts";
import { networkText, outermost, sourceRanges } from "./sources.ts";
import type { NatEntry, NatForward, NatPinhole } from "./state.ts";

/** One element of a set (`data` null) or map, both sides as nft prints them. */
export interface Element {
  readonly set: StaticSetName;
  readonly key: string;
  readonly data: string | null;
}

type SetPair = readonly [single: StaticSetName, spans: StaticSetName];

const EVERYBODY4 = "0.0.0.0/0";
const EVERYBODY6 = "::/0";

/** All that the kernel holds for one entry. Entries have no port in common, so no two of them share a key (but `hw_rsnat`). */
export function elementsOf(entry: NatEntry): Element[] {
  return entry.kind === "forward" ? forwardElements(entry) : pinholeElements(entry);
}

function forwardElements(entry: NatForward): Element[] {
  const { protocol } = entry;
  const key = `${protocol} . ${spanText(entry)}`;
  const of = pick(entry);
  return [
    ...dispatchElements(entry),
    { set: of(["hw_forwards", "hw_forward_spans"]), key, data: `jump ${checkChain(4, isListed(entry), entry.limits)}` },
    { set: of([`hw_in_${protocol}`, `hw_in_${protocol}_spans`]), key: spanText(entry), data: null },
    { set: of([`hw_out_${protocol}`, `hw_out_${protocol}_spans`]), key: spanText(entry), data: null },
    ...sourceElements(entry, key, 4),
  ];
}

/** A range keeps its ports in one interval; one that shifts is as many elements as it has ports. */
function dispatchElements({ protocol, first, last, internalFirst, to }: NatForward): Element[] {
  if (first !== last && first === internalFirst) {
    const ports = spanText({ first, last });
    return [
      { set: "hw_dnat_spans", key: `${protocol} . ${ports}`, data: to },
      { set: "hw_rsnat_spans", key: `${to} . ${protocol} . ${ports}`, data: null },
    ];
  }
  return Array.from({ length: last - first + 1 }, (_, offset) => [
    {
      set: "hw_dnat" as const,
      key: `${protocol} . ${first + offset}`,
      data: `${to} . ${internalFirst + offset}`,
    },
    {
      set: "hw_rsnat" as const,
      key: `${to} . ${protocol} . ${internalFirst + offset}`,
      data: `${first + offset}`,
    },
  ]).flat();
}

function pinholeElements(entry: NatPinhole): Element[] {
  const key = `${entry.to} . ${entry.protocol} . ${spanText(entry)}`;
  const of = pick(entry);
  return [
    { set: of(["hw_pinholes", "hw_pinhole_spans"]), key, data: `jump ${checkChain(6, isListed(entry), entry.limits)}` },
    { set: of(["hw_visits6", "hw_visits6_spans"]), key, data: null },
    { set: of(["hw_in6", "hw_in6_spans"]), key, data: null },
    { set: of(["hw_out6", "hw_out6_spans"]), key, data: null },
    ...sourceElements(entry, key, 6),
  ];
}

function sourceElements(entry: NatEntry, key: string, family: 4 | 6): Element[] {
  const denied = outermost(entry.deny, family).map((network) => ({
    set: `hw_denied${family}` as const,
    key: `${key} . ${networkText(network)}`,
    data: null,
  }));
  if (!isListed(entry)) return denied;
  const everybody = `${family === 4 ? EVERYBODY4 : EVERYBODY6} . 0-65535`;
  const allowed =
    entry.allow.length === 0
      ? [everybody]
      : sourceRanges(entry.allow, family).map(({ network, ports }) => `${networkText(network)} . ${spanText(ports)}`);
  return [
    ...denied,
    ...allowed.map((source) => ({ set: `hw_allowed${family}` as const, key: `${key} . ${source}`, data: null })),
  ];
}

function isListed(entry: NatEntry): boolean {
  return entry.allow.length > 0 || entry.deny.length > 0;
}

function pick(entry: NatEntry): (pair: SetPair) => StaticSetName {
  return ([single, spans]) => (entry.first === entry.last ? single : spans);
}

export function spanText({ first, last }: PortSpan): string {
  return first === last ? `${first}` : `${first}-${last}`;
}
