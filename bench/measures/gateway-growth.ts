import type { Site } from "../lab/site.ts";
import { askAll, type Lan, openLan } from "../mapping/lan.ts";
import { listForwards, startGateway } from "../peers/hatchway.ts";
import { FORWARD, type GatewayPeer } from "../peers/peer.ts";
import { GATEWAY_FORWARDS, gatewayMeasure, gatewayPeer, untilServed, where } from "./gateway.ts";
import { field, type Measure, refuseFailures, type Trial, WARM_UP_SEC, warmLoad } from "./measure.ts";
import { transfer } from "./transfer.ts";

const MAPPINGS = 20_000;
const AT_ONCE = 64;
const ASK_AT_ONCE = 200;
const FILL_LIMIT_MS = 90_000;
const MEGABYTE = 1e6;
const MS_PER_SEC = 1_000;
const SETTLE_MS = 1_500;
/** Other firewalls are looked at once in this time. The comparison of 20,000 mappings comes less often, and may not be in it. */
const IDLE_MS = 61_000;

const ours = { ...gatewayMeasure, oursOnly: true } as const;

function fill(lan: Lan) {
  return askAll(lan, { first: 0, count: MAPPINGS, atOnce: ASK_AT_ONCE, giveUpMs: FILL_LIMIT_MS, resend: true });
}

interface Speed {
  readonly bulk: number;
  readonly fresh: number;
  readonly kept: number;
}

async function speed(trial: Trial, peer: GatewayPeer): Promise<Speed> {
  const { site, seconds } = trial;
  const bulk = peer.target(FORWARD.bulk);
  await transfer(site, bulk, WARM_UP_SEC);
  const moved = await transfer(site, bulk, seconds);
  const fresh = await warmLoad(trial, ["visitors", ...where(peer, FORWARD.web), `${AT_ONCE}`]);
  const kept = await warmLoad(trial, ["requests", ...where(peer, FORWARD.web), `${AT_ONCE}`, "closed", "1"]);
  refuseFailures(fresh);
  refuseFailures(kept);
  return { bulk: moved.gbitPerSec, fresh: field(fresh, "perSec"), kept: field(kept, "perSec") };
}

/** The same mapping alone and among 20,000: what a look-up costs. */
export const gatewayGrowth: Measure = {
  ...ours,
  name: "gateway-growth",
  figures: [
    { id: "bulk", label: "1 stream with 20,000 mappings", unit: "% of with 1", better: "higher" },
    { id: "fresh", label: "new connections/s with 20,000 mappings", unit: "% of with 1", better: "higher" },
    { id: "kept", label: "keep-alive requests/s with 20,000 mappings", unit: "% of with 1", better: "higher" },
  ],
  async run(trial) {
    const peer = gatewayPeer(trial);
    const lan = await openLan(trial.site);
    await startGateway(trial.site, GATEWAY_FORWARDS);
    await untilServed(trial.site, peer);
    const before = await speed(trial, peer);
    await fill(lan);
    await Bun.sleep(SETTLE_MS);
    const grown = await speed(trial, peer);
    const percent = (key: keyof Speed) => (100 * grown[key]) / before[key];
    return { bulk: percent("bulk"), fresh: percent("fresh"), kept: percent("kept") };
  },
};

const residentMegabytes = async (site: Site) => (await site.usage("relay")).residentBytes / MEGABYTE;

/** What 20,000 mappings cost those who ask for them, list them, or start with them. */
export const gatewayCost: Measure = {
  ...ours,
  name: "gateway-cost",
  figures: [
    { id: "fill", label: "20,000 mappings asked for, 200 at once", unit: "/s", better: "higher" },
    { id: "memory", label: "resident memory of its programs, 1 mapping", unit: "MB", better: "lower" },
    { id: "memoryFull", label: "resident memory of its programs, 20,000 mappings", unit: "MB", better: "lower" },
    { id: "list", label: "forward ls with 20,000 mappings", unit: "s", better: "lower" },
    { id: "start", label: "start with 20,000 mappings of before", unit: "s", better: "lower" },
    { id: "startCpu", label: "– processor time", unit: "s", better: "lower" },
  ],
  async run(trial) {
    const { site } = trial;
    const lan = await openLan(site);
    await startGateway(site, [FORWARD.web]);
    await Bun.sleep(SETTLE_MS);
    const memory = await residentMegabytes(site);
    const filled = await fill(lan);
    await Bun.sleep(SETTLE_MS);
    const memoryFull = await residentMegabytes(site);
    const listMs = performance.now();
    const listed = await listForwards(site);
    const list = (performance.now() - listMs) / MS_PER_SEC;
    const count = (JSON.parse(listed) as { forwards: unknown[] }).forwards.length;
    if (count !== MAPPINGS + 1) throw new Error(`forward ls shows ${count} mappings`);
    await site.end("relay");
    const startMs = performance.now();
    await startGateway(site, [FORWARD.web]);
    const start = (performance.now() - startMs) / MS_PER_SEC;
    const { cpuSec } = await site.usage("relay");
    await lan.visit({ first: MAPPINGS - 100, count: 100 });
    return {
      fill: (MAPPINGS * MS_PER_SEC) / filled.totalMs,
      memory,
      memoryFull,
      list,
      start,
      startCpu: cpuSec,
    };
  },
};

/** A gateway that nobody uses, for a minute. */
export const gatewayIdle: Measure = {
  ...ours,
  name: "gateway-idle",
  figures: [
    { id: "one", label: "processor time of an idle gateway, 1 mapping", unit: "ms/s", better: "lower" },
    { id: "full", label: "processor time of an idle gateway, 20,000 mappings", unit: "ms/s", better: "lower" },
  ],
  async run(trial) {
    const { site } = trial;
    const lan = await openLan(site);
    const perSecond = async () => {
      await Bun.sleep(SETTLE_MS);
      const before = await site.usage("relay");
      await Bun.sleep(IDLE_MS);
      const spent = (await site.usage("relay")).cpuSec - before.cpuSec;
      return (spent * MS_PER_SEC) / (IDLE_MS / MS_PER_SEC);
    };
    await startGateway(site, [FORWARD.web]);
    const one = await perSecond();
    await fill(lan);
    return { one, full: await perSecond() };
  },
};
