import type { ForwardCounters } from "../dataplanes/io/counters.ts";
import type { OpenVisit, Visits } from "../dataplanes/io/visits.ts";
import { formatEndpoint } from "../wire/endpoint.ts";
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

export function visitInfo(id: number, visit: OpenVisit, forward: VisitedForward): VisitInfo {
  return {
    id: visitId(forward.id, id),
    forwardId: forward.id,
    forwardName: forward.name,
    device: forward.device,
    protocol: visit.protocol,
    visitor: formatEndpoint(visit.visit.visitor),
    entry: formatEndpoint(visit.visit.entry),
    openedMs: visit.sinceMs,
    bytesIn: visit.bytesIn,
    bytesOut: visit.bytesOut,
  };
}

/** Unique in the process. */
export function visitId(forwardId: string, id: number): string {
  return `${forwardId}/${id}`;
}

export const V = { v: CONTROL_VERSION } as const;
