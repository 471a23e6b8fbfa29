import { ADDRESS } from "../lab/namespaces.ts";
import { FORWARD } from "../peers/peer.ts";
import { field, type Measure, refuseFailures, serve, warmLoad } from "./measure.ts";

const AT_ONCE = 64;
/** Well below what every peer can do, so that it shows latency and not saturation. */
const PACED_PER_SEC = 4_000;
const WEB = [ADDRESS.relay, `${FORWARD.web.entryPort}`];

/** Each visitor connects, asks once and closes; 64 at a time, closed loop. */
export const visitors: Measure = {
  name: "visitors",
  planes: ["remote", "direct"],
  protocol: "tcp",
  oursOnly: false,
  figures: [
    { id: "perSec", label: "new visitors", unit: "/s", better: "higher" },
    { id: "p99", label: "new visitor served, p99", unit: "ms", better: "lower" },
  ],
  async run(trial) {
    await serve(trial);
    const result = await warmLoad(trial, ["visitors", ...WEB, `${AT_ONCE}`]);
    refuseFailures(result);
    return { perSec: field(result, "perSec"), p99: field(result, "p99Ms") };
  },
};

/** 64 visitors that keep their connection: as fast as they can (closed loop), then at a fixed rate (open loop). */
export const keepAlive: Measure = {
  name: "latency",
  planes: ["remote", "direct"],
  protocol: "tcp",
  oursOnly: false,
  figures: [
    { id: "perSec", label: "64 keep-alive visitors, closed loop", unit: "req/s", better: "higher" },
    { id: "p50", label: "– p50", unit: "ms", better: "lower" },
    { id: "p99", label: "– p99", unit: "ms", better: "lower" },
    { id: "pacedP50", label: `64 keep-alive visitors at ${PACED_PER_SEC} req/s, p50`, unit: "ms", better: "lower" },
    { id: "pacedP99", label: "– p99", unit: "ms", better: "lower" },
  ],
  async run(trial) {
    await serve(trial);
    const closed = await warmLoad(trial, ["requests", ...WEB, `${AT_ONCE}`, "closed", "1"]);
    const paced = await warmLoad(trial, ["requests", ...WEB, `${AT_ONCE}`, "open", `${PACED_PER_SEC}`]);
    refuseFailures(closed);
    refuseFailures(paced);
    return {
      perSec: field(closed, "perSec"),
      p50: field(closed, "p50Ms"),
      p99: field(closed, "p99Ms"),
      pacedP50: field(paced, "p50Ms"),
      pacedP99: field(paced, "p99Ms"),
    };
  },
};
