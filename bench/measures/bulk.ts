import { ADDRESS } from "../lab/namespaces.ts";
import { FORWARD } from "../peers/peer.ts";
import { field, type Measure, serve, type Trial, WARM_UP_SEC } from "./measure.ts";
import { repeatsOf, transfer } from "./transfer.ts";

/** Few enough that asking is no load of its own. */
const PING_PER_SEC = 100;
/** 100 questions a second need this long for a p99 that rests on more than one of them. */
const MIN_PING_SEC = 5;
const BULK_STREAMS = 8;
/** Until eight streams are past their slow start. */
const SLOW_START_MS = 700;

const ENTRY = [ADDRESS.relay, FORWARD.bulk.entryPort] as const;

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
    const warmUps = [
      await transfer(trial.site, ENTRY, WARM_UP_SEC),
      await transfer(trial.site, ENTRY, WARM_UP_SEC, ["-R"]),
    ];
    const before = await cpuSec(trial);
    const up = await transfer(trial.site, ENTRY, trial.seconds);
    const down = await transfer(trial.site, ENTRY, trial.seconds, ["-R"]);
    const spent = (await cpuSec(trial)) - before;
    const perGigabyte = spent / ((up.bytes + down.bytes) / 1e9);
    return {
      up: up.gbitPerSec,
      down: down.gbitPerSec,
      cpu: perGigabyte,
      ...repeatsOf([...warmUps, up, down]),
    };
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
    return { p50: field(asked, "p50Ms"), p99: field(asked, "p99Ms"), bulk: moved.gbitPerSec, ...repeatsOf([moved]) };
  },
};
