import { askAll, openLan } from "../mapping/lan.ts";
import { median } from "../report/results.ts";
import { gatewayPeer } from "./gateway.ts";
import type { Measure } from "./measure.ts";

/** Added one after the other, each tried by a visitor as soon as it is answered. */
const ONE_BY_ONE = 30;
const TOGETHER = 1_000;
const ONE = { count: 1, atOnce: 1, giveUpMs: 10_000, resend: false } as const;
/** However long each takes. */
const ONES_LIMIT_MS = 10_000;
/** A client gives up sooner (RFC 6886 §3.1: 64 s); who needs longer is slow, and how slow says the rate so far. */
const TOGETHER_LIMIT_MS = 20_000;
const MS_PER_SEC = 1_000;

/** Mappings by NAT-PMP: the time from a request to its answer, and 1,000 requests that are sent at once. */
function addAt(mappings: number): Measure {
  const at = `at ${mappings.toLocaleString("en")} mapping${mappings === 1 ? "" : "s"}`;
  return {
    name: `mapping-${mappings}`,
    planes: ["gateway"],
    protocol: "natpmp",
    oursOnly: false,
    figures: [
      { id: "p50", label: `one more ${at}: asked → answered, p50`, unit: "ms", better: "lower" },
      { id: "max", label: "– the slowest of 30", unit: "ms", better: "lower" },
      { id: "cpu", label: "– processor time of its programs, each", unit: "ms", better: "lower" },
      {
        id: "perSec",
        label: `${TOGETHER.toLocaleString("en")} together ${at}: answered`,
        unit: "/s",
        better: "higher",
      },
    ],
    async run(trial) {
      const { site } = trial;
      const peer = gatewayPeer(trial);
      const lan = await openLan(site);
      await peer.startWithMappings?.(site, lan, mappings);
      await lan.visit({ first: Math.max(0, mappings - ONE_BY_ONE), count: Math.min(mappings, ONE_BY_ONE) });
      // The first is not counted: what runs for the first time is slower in every program.
      await askAll(lan, { first: mappings, ...ONE });
      const before = await site.usage("relay");
      const tookMs: number[] = [];
      const beganMs = performance.now();
      for (let at = 1; at <= ONE_BY_ONE && performance.now() - beganMs < ONES_LIMIT_MS; at++) {
        const number = mappings + at;
        const answer = await askAll(lan, { first: number, ...ONE });
        tookMs.push(answer.totalMs);
        await lan.visit({ first: number, count: 1 });
      }
      const spent = (await site.usage("relay")).cpuSec - before.cpuSec;
      const first = mappings + ONE_BY_ONE + 1;
      const order = { first, count: TOGETHER, atOnce: TOGETHER, giveUpMs: TOGETHER_LIMIT_MS, resend: true };
      const report = await lan.ask(order);
      if (report.refused > 0) throw new Error(`${report.refused} of ${TOGETHER} mappings were refused`);
      if (report.answered === TOGETHER) await lan.visit(order);
      return {
        p50: median(tookMs) ?? 0,
        max: Math.max(...tookMs),
        cpu: (spent * MS_PER_SEC) / tookMs.length,
        perSec: (report.answered * MS_PER_SEC) / report.totalMs,
      };
    },
  };
}

export const addAt1 = addAt(1);
export const addAt1000 = addAt(1_000);
export const addAt20000 = addAt(20_000);
