import type { ForwardCounters } from "../dataplanes/io/counters.ts";
import type { OpenVisit, Visits } from "../dataplanes/io/visits.ts";
import { type Endpoint, formatEndpoint } from "../wire/endpoint.ts";
import { CONTROL_VERSION, type Counters, type VisitInfo } from "./control.ts";

export const NO_COUNTERS: Counters = {
  visitorsTotal: 0,
  visitorsOpen: 0,
  bytesIn: 0,
  bytesOut: 0,
  refused: {},
  datagramsDropped: 0,
  answerMs: null,
};

/** What a forward counted, as local commands are told. */
export function countersOf(counters: ForwardCounters): Counters {
  return { ...totalsOf(counters), answerMs: counters.answerMs() };
}

/** What all of them counted together: O(their number), and fit for tens of thousands. */
export function totalOf(all: Iterable<ForwardCounters>): Counters {
  const sum = { ...NO_COUNTERS, refused: {} as Record<string, number> };
  for (const one of all) {
    sum.visitorsTotal += one.visitorsTotal;
    sum.visitorsOpen += one.visitorsOpen;
    sum.bytesIn += one.bytesIn;
    sum.bytesOut += one.bytesOut;
    sum.datagramsDropped += one.datagramsDropped;
    if (one.refusedTotal === 0) continue;
    for (const [reason, count] of Object.entries(one.refused()))
      sum.refused[reason] = (sum.refused[reason] ?? 0) + count;
  }
  return sum;
}

/** The same to be summed: without its answer times, which take longer to sort than all else to read. */
export function totalsOf(counters: ForwardCounters): Counters {
  return {
    visitorsTotal: counters.visitorsTotal,
    visitorsOpen: counters.visitorsOpen,
    bytesIn: counters.bytesIn,
    bytesOut: counters.bytesOut,
    refused: counters.refused(),
    datagramsDropped: counters.datagramsDropped,
    answerMs: null,
  };
}

/** Sums; answer times of different forwards do not add up and are left out. */
export function sumCounters(all: Iterable<Counters>): Counters {
  const sum = { ...NO_COUNTERS, refused: {} as Record<string, number> };
  for (const one of all) {
    sum.visitorsTotal += one.visitorsTotal;
    sum.visitorsOpen += one.visitorsOpen;
    sum.bytesIn += one.bytesIn;
    sum.bytesOut += one.bytesOut;
    sum.datagramsDropped += one.datagramsDropped;
    for (const [reason, count] of Object.entries(one.refused)) sum.refused[reason] = (sum.refused[reason] ?? 0) + count;
  }
  return sum;
}

/** What a visit is of. */
export interface VisitedForward {
  readonly id: string;
  readonly name: string;
  readonly device: string | null;
}

export function visitInfos(visits: Visits, forward: VisitedForward): VisitInfo[] {
  return [...visits.list()].map(([id, visit]) => visitInfo(id, visit, forward));
}

export function visitInfo(
  id: number,
  { protocol, visit, sinceMs, bytesIn, bytesOut }: OpenVisit,
  forward: VisitedForward,
) {
  const { visitor, entry } = visit;
  return visitInfoOf(id, forward, { protocol, visitor, entry, openedMs: sinceMs, bytesIn, bytesOut });
}

/** `id`: unique among those of the forward. */
export function visitInfoOf(
  id: number | string,
  forward: VisitedForward,
  { visitor, entry, ...visit }: Visited,
): VisitInfo {
  return {
    id: visitId(forward.id, id),
    forwardId: forward.id,
    forwardName: forward.name,
    device: forward.device,
    visitor: formatEndpoint(visitor),
    entry: formatEndpoint(entry),
    ...visit,
  };
}

/** Who came where, since when, and what passed. */
interface Visited extends Pick<VisitInfo, "protocol" | "openedMs" | "bytesIn" | "bytesOut"> {
  readonly visitor: Endpoint;
  readonly entry: Endpoint;
}

/** Unique in the process. */
export function visitId(forwardId: string, id: number | string): string {
  return `${forwardId}/${id}`;
}

/** For sorting, the oldest first: what is not known to have begun began before that was written down. */
export function byAge(a: VisitInfo, b: VisitInfo): number {
  return (a.openedMs ?? 0) - (b.openedMs ?? 0);
}

export const V = { v: CONTROL_VERSION } as const;
