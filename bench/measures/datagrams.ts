import { ADDRESS } from "../lab/namespaces.ts";
import { FORWARD } from "../peers/peer.ts";
import { type Figure, field, type Measure, serve, warmLoad } from "./measure.ts";

const SIZES = [64, 512, 1_400] as const;
const FLOWS = 16;
/** On their way at once in each flow, closed loop. */
const WINDOW = 8;
const PACED_PER_SEC = 4_000;
/** Of what was sent; a changed datagram also counts as lost. */
const MAX_CHANGED = 0.01;
/** Beyond this, the latency of what does come back says nothing. */
const MAX_LOST = 0.5;
const OPEN_LOOP_WINDOW = 1;

const figuresOf = (size: number): readonly Figure[] => [
  { id: `perSec${size}`, label: `UDP ${size} bytes, there and back`, unit: "/s", better: "higher" },
  { id: `p99of${size}`, label: `– p99 at ${PACED_PER_SEC}/s`, unit: "ms", better: "lower" },
  { id: `lost${size}`, label: `– lost or changed at ${PACED_PER_SEC}/s`, unit: "%", better: "lower" },
];

/** Datagrams that come back, over 16 flows: with 8 on their way in each (closed loop), then at a fixed rate. */
export const datagrams: Measure = {
  name: "udp",
  planes: ["remote", "direct"],
  protocol: "udp",
  oursOnly: false,
  figures: SIZES.flatMap(figuresOf),
  async run(trial) {
    await serve(trial, [FORWARD.datagrams]);
    const values: Record<string, number> = {};
    const pass = async (size: number, window: number, perSec: number) => {
      const where = [ADDRESS.relay, `${FORWARD.datagrams.entryPort}`];
      const shape = [`${size}`, `${FLOWS}`, `${window}`, `${perSec}`];
      const result = await warmLoad(trial, ["datagrams", ...where, ...shape]);
      if (field(result, "corrupt") > MAX_CHANGED * field(result, "sent")) {
        throw new Error(`${result["corrupt"]} datagrams of ${size} bytes came back changed, or to another flow`);
      }
      return result;
    };
    for (const size of SIZES) {
      const closed = await pass(size, WINDOW, 0);
      const paced = await pass(size, OPEN_LOOP_WINDOW, PACED_PER_SEC);
      const lostShare = (field(paced, "sent") - field(paced, "delivered")) / field(paced, "sent");
      if (lostShare > MAX_LOST) {
        throw new Error(
          `${Math.round(100 * lostShare)} % of ${size}-byte datagrams at ${PACED_PER_SEC}/s did not come back`,
        );
      }
      values[`perSec${size}`] = field(closed, "perSec");
      values[`p99of${size}`] = field(paced, "p99Ms");
      values[`lost${size}`] = 100 * lostShare;
    }
    return values;
  },
};
