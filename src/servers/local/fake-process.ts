import { CONTROL_VERSION, type Counters, type ReloadReport } from "./control.ts";

/** What the fakes of a relay, an agent and a gateway say of themselves. */
export const FAKE_COUNTERS: Counters = {
  visitorsTotal: 3,
  visitorsOpen: 1,
  bytesIn: 1_000,
  bytesOut: 2_000_000,
  refused: { sourceNotAllowed: 2 },
  datagramsDropped: 0,
  answerMs: { p50: 1.5, p90: 4 },
};
export const FAKE_PROCESS = {
  v: CONTROL_VERSION,
  version: "0.1.0",
  pid: 1,
  startedMs: 0,
  memoryBytes: 50_000_000,
} as const;
export const FAKE_RELOADED: ReloadReport = {
  v: CONTROL_VERSION,
  added: ["web"],
  changed: [],
  removed: [],
  unchanged: 2,
  refused: [],
  needRestart: [],
};
