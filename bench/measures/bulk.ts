import { ADDRESS } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { FORWARD } from "../peers/peer.ts";
import { field, type Measure, serve, type Trial, WARM_UP_SEC } from "./measure.ts";

/** Few enough that asking is no load of its own. */
const PING_PER_SEC = 100;
/** 100 questions a second need this long for a p99 that rests on more than one of them. */
const MIN_PING_SEC = 5;
const BULK_STREAMS = 8;
/** Until eight streams are past their slow start. */
const SLOW_START_MS = 700;
const END_LIMIT_MS = 15_000;
const BUSY_TRIES = 20;
const BUSY_PAUSE_MS = 250;

interface Transfer {
  readonly gbitPerSec: number;
  readonly bytes: number;
  /** Of both ends, with what the kernel does in their name: most of the way between them on one machine. */
  readonly cpuSec: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number; readonly seconds: number };
    readonly cpu_utilization_percent?: { readonly host_total: number; readonly remote_total: number };
  };
}

const ENTRY = [ADDRESS.relay, FORWARD.bulk.entryPort] as const;

/** `more`: options of iperf3. */
export async function transfer(
  site: Site,
  [host, port]: readonly [string, number],
  seconds: number,
  more: readonly string[] = [],
): Promise<Transfer> {
  const command = ["iperf3", "-c", host, "-p", `${port}`, "-t", `${seconds}`, "-J", ...more];
  let report = JSON.parse(await site.visit(command, seconds * 1_000 + END_LIMIT_MS)) as IperfReport;
  // The end of the transfer before is still on its way through a forward.
  for (let tries = 0; report.error?.includes("busy") === true && tries < BUSY_TRIES; tries++) {
    await Bun.sleep(BUSY_PAUSE_MS);
    report = JSON.parse(await site.visit(command, seconds * 1_000 + END_LIMIT_MS)) as IperfReport;
  }
  const received = report.end?.sum_received;
  if (report.error !== undefined || received === undefined) throw new Error(`iperf3: ${report.error ?? "no result"}`);
  const { host_total = 0, remote_total = 0 } = report.end?.cpu_utilization_percent ?? {};
  return {
    gbitPerSec: received.bits_per_second / 1e9,
    bytes: received.bytes,
    cpuSec: ((host_total + remote_total) / 100) * received.seconds,
  };
}

async function cpuSec({ site, peer }: Trial): Promise<number> {
  const sides = peer.type === "remote" ? (["relay", "agent"] as const) : (["relay"] as const);
  const all = await Promise.all(sides.map((side) => site.usage(side)));
  return all.reduce((sum, one) => sum + one.cpuSec, 0);
}

/** One TCP stream each way, one after the other, and what they cost. */
export const bulk: Measure = {
  name: "bulk",
  planes: ["remote", "direct"],
  protocol: "tcp",
  oursOnly: false,
  figures: [
    { id: "up", label: "bulk, visitor → service", unit: "Gbit/s", better: "higher" },
    { id: "down", label: "bulk, service → visitor", unit: "Gbit/s", better: "higher" },
    { id: "cpu", label: "processor time, both sides", unit: "s/GB", better: "lower" },
  ],
  async run(trial) {
    await serve(trial, [FORWARD.web, FORWARD.bulk]);
    for (const direction of [[], ["-R"]]) await transfer(trial.site, ENTRY, WARM_UP_SEC, direction);
    const before = await cpuSec(trial);
    const up = await transfer(trial.site, ENTRY, trial.seconds);
    const down = await transfer(trial.site, ENTRY, trial.seconds, ["-R"]);
    const spent = (await cpuSec(trial)) - before;
    return { up: up.gbitPerSec, down: down.gbitPerSec, cpu: spent / ((up.bytes + down.bytes) / 1e9) };
  },
};

/** One stream that asks at most 100 times a second beside eight that take all they can, of the same agent. */
export const mixed: Measure = {
  name: "mixed",
  planes: ["remote", "direct"],
  protocol: "tcp",
  oursOnly: false,
  figures: [
    { id: "p50", label: "ping-pong beside 8 bulk streams, p50", unit: "ms", better: "lower" },
    { id: "p99", label: "ping-pong beside 8 bulk streams, p99", unit: "ms", better: "lower" },
    { id: "bulk", label: "the 8 bulk streams meanwhile", unit: "Gbit/s", better: "higher" },
  ],
  async run(trial) {
    await serve(trial, [FORWARD.web, FORWARD.bulk]);
    const seconds = Math.max(trial.seconds, MIN_PING_SEC);
    const load = transfer(trial.site, ENTRY, seconds + 2, ["-P", `${BULK_STREAMS}`]);
    const ask = Bun.sleep(SLOW_START_MS).then(() => {
      const where = [ADDRESS.relay, `${FORWARD.web.entryPort}`];
      return trial.site.load(["requests", ...where, "1", "paced", `${PING_PER_SEC}`, `${seconds}`]);
    });
    const [moved, asked] = await Promise.all([load, ask]);
    return { p50: field(asked, "p50Ms"), p99: field(asked, "p99Ms"), bulk: moved.gbitPerSec };
  },
};
