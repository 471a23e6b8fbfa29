import type { Site } from "../lab/site.ts";
import { FORWARD, type Forward, type GatewayPeer } from "../peers/peer.ts";
import { field, type Measure, refuseFailures, type Trial, WARM_UP_SEC, warmLoad } from "./measure.ts";
import { transfer } from "./transfer.ts";

const AT_ONCE = 64;
const START_LIMIT_SEC = 15;
const STREAMS = [1, 4] as const;
const DIRECTIONS = [
  { id: "up", label: "visitor → client", options: [] },
  { id: "down", label: "client → visitor", options: ["-R"] },
] as const;
const BULK_LOADS = STREAMS.flatMap((streams) => DIRECTIONS.map((direction) => ({ ...direction, streams })));
export const GATEWAY_FORWARDS = [FORWARD.web, FORWARD.bulk];

export const gatewayMeasure = { planes: ["gateway"], protocol: "tcp", oursOnly: false } as const;

export function gatewayPeer({ peer }: Trial): GatewayPeer {
  if (peer.type !== "gateway") throw new Error(`${peer.name} is no router`);
  return peer;
}

/** Where a load program finds the forward, as arguments. */
export const where = (peer: GatewayPeer, forward: Forward) => peer.target(forward).map(String);

/** Starts the peer with a mapping for requests and one for bulk. */
async function serve(trial: Trial): Promise<GatewayPeer> {
  const peer = gatewayPeer(trial);
  await trial.site.namespaces.openRouter([]);
  await peer.startRelay(trial.site, GATEWAY_FORWARDS);
  await untilServed(trial.site, peer);
  return peer;
}

export async function untilServed(site: Site, peer: GatewayPeer): Promise<void> {
  await site.load(["probe", ...where(peer, FORWARD.web), `${START_LIMIT_SEC}`]);
}

/** TCP through a mapping, one stream and four, each way; and what the router's programs cost meanwhile. */
export const gatewayBulk: Measure = {
  ...gatewayMeasure,
  name: "gateway-bulk",
  figures: [
    ...BULK_LOADS.map(({ id, label, streams }) => ({
      id: `${id}${streams}`,
      label: `${streams === 1 ? "1 stream" : `${streams} streams`}, ${label}`,
      unit: "Gbit/s",
      better: "higher" as const,
    })),
    { id: "cpu", label: "processor time of its programs", unit: "s/GB", better: "lower" },
    { id: "all", label: "– of these, both ends and the kernel between", unit: "s/GB", better: "lower" },
  ],
  async run(trial) {
    const { site, seconds } = trial;
    const target = (await serve(trial)).target(FORWARD.bulk);
    for (const { options } of DIRECTIONS) await transfer(site, target, WARM_UP_SEC, options);
    const values: Record<string, number> = {};
    const before = await site.usage("relay");
    let bytes = 0;
    let endsSec = 0;
    for (const { id, streams, options } of BULK_LOADS) {
      const moved = await transfer(site, target, seconds, [...options, "-P", `${streams}`]);
      values[`${id}${streams}`] = moved.gbitPerSec;
      bytes += moved.bytes;
      endsSec += moved.cpuSec;
    }
    const spentSec = (await site.usage("relay")).cpuSec - before.cpuSec;
    const perGigabyte = (sec: number) => sec / (bytes / 1e9);
    return { ...values, cpu: perGigabyte(spentSec), all: perGigabyte(spentSec + endsSec) };
  },
};

/** Each visitor connects, asks once and closes; 64 at a time. */
export const gatewayVisitors: Measure = {
  ...gatewayMeasure,
  name: "gateway-visitors",
  figures: [
    { id: "perSec", label: "new connections", unit: "/s", better: "higher" },
    { id: "p99", label: "– served, p99", unit: "ms", better: "lower" },
  ],
  async run(trial) {
    const peer = await serve(trial);
    const result = await warmLoad(trial, ["visitors", ...where(peer, FORWARD.web), `${AT_ONCE}`]);
    refuseFailures(result);
    return { perSec: field(result, "perSec"), p99: field(result, "p99Ms") };
  },
};

/** One visitor's ping-pong, then 64 at once. */
export const gatewayLatency: Measure = {
  ...gatewayMeasure,
  name: "gateway-latency",
  figures: [
    { id: "p50", label: "ping-pong, p50", unit: "ms", better: "lower" },
    { id: "p99", label: "ping-pong, p99", unit: "ms", better: "lower" },
    { id: "perSec", label: "64 keep-alive visitors, closed loop", unit: "req/s", better: "higher" },
  ],
  async run(trial) {
    const peer = await serve(trial);
    const ask = (connections: number) =>
      warmLoad(trial, ["requests", ...where(peer, FORWARD.web), `${connections}`, "closed", "1"]);
    const alone = await ask(1);
    const together = await ask(AT_ONCE);
    refuseFailures(alone);
    refuseFailures(together);
    return { p50: field(alone, "p50Ms"), p99: field(alone, "p99Ms"), perSec: field(together, "perSec") };
  },
};
