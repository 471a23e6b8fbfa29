import type { Protocol } from "../../wire/port-set.ts";
import type { KeptPort, KeptState } from "./keeper-model.ts";
import type { RouterProtocol } from "./model.ts";
import type { PortWish } from "./wish.ts";

/** Ports in a row that are the same in all but their number: one line for people. */
export interface EndpointRange {
  readonly state: KeptState["kind"];
  readonly family: 4 | 6;
  readonly protocol: Protocol;
  /** Where visitors come to; null = it is not open, or the router does not tell its address. */
  readonly address: string | null;
  /** External: what is open, or else what is wished for (0 = any port). */
  readonly first: number;
  readonly last: number;
  /** Whom the router forwards to; null = this machine. */
  readonly host: string | null;
  /** The internal port of `first`. */
  readonly internalFirst: number;
  /** Of all of them the earliest, by the keeper's clock; null = permanent, or not open. */
  readonly endsMs: number | null;
  readonly via: RouterProtocol | null;
  /** Why it is not open, or was not renewed. */
  readonly reason: string | null;
}

/** What is kept, in ranges: by family, host, protocol and internal port. */
export function compactEndpoints(kept: readonly KeptPort[]): EndpointRange[] {
  const ranges: EndpointRange[] = [];
  for (const port of kept.toSorted((a, b) => byInside(a.wish, b.wish))) {
    const next = endpointOf(port);
    const before = ranges.at(-1);
    if (before !== undefined && continues(before, next)) ranges[ranges.length - 1] = joined(before, next);
    else ranges.push(next);
  }
  return ranges;
}

function byInside(a: PortWish, b: PortWish): number {
  return (
    a.family - b.family ||
    compareText(a.host ?? "", b.host ?? "") ||
    compareText(a.protocol, b.protocol) ||
    a.internalPort - b.internalPort
  );
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function endpointOf({ wish, state }: KeptPort): EndpointRange {
  const { family, protocol, host, internalPort } = wish;
  const mapping = state.kind === "held" ? state.mapping : null;
  const port = mapping?.externalPort ?? wish.externalPort;
  // A pinhole leads to the host's own address.
  const address = mapping?.externalAddress ?? (family === 6 ? (mapping?.internalAddress ?? null) : null);
  return {
    state: state.kind,
    family,
    protocol,
    address,
    first: port,
    last: port,
    host,
    internalFirst: internalPort,
    endsMs: mapping?.endsMs ?? null,
    via: mapping?.via ?? null,
    reason: "why" in state ? (state.why?.message ?? null) : null,
  };
}

function continues(before: EndpointRange, next: EndpointRange): boolean {
  return (
    next.state === before.state &&
    next.family === before.family &&
    next.protocol === before.protocol &&
    next.address === before.address &&
    next.host === before.host &&
    next.via === before.via &&
    next.reason === before.reason &&
    next.first === before.last + 1 &&
    next.internalFirst === before.internalFirst + (before.last - before.first) + 1
  );
}

function joined(before: EndpointRange, next: EndpointRange): EndpointRange {
  const ends = [before.endsMs, next.endsMs].filter((ms) => ms !== null);
  return { ...before, last: next.last, endsMs: ends.length === 0 ? null : Math.min(...ends) };
}
