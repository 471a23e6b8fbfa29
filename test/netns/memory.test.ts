import { afterAll, beforeAll, expect, test } from "bun:test";
import { open, type Site, startSite, status } from "./hatchway.ts";
import { startService, startVisitor, visit } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually, residentBytes } from "./ready.ts";

const MB = 1_000_000;
const OFFERED_BYTES = 1_073_741_824;
const STALLED_VISITORS = 100;
const MAX_RESIDENT_BYTES = 300 * MB;
const MIN_SPEED_RATIO = 0.8;
const ROUNDS = 3;
const ROUND_MS = 700;
const PORT = 7001;
let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab);
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const inMB = (...bytes: readonly number[]): string => bytes.map((count) => (count / MB).toFixed(0)).join(", ");

/** Until then the stalled visitors' own bytes are on their way, and take their share like anyone's. */
async function windowsAreFull(): Promise<void> {
  let before = -1;
  await eventually(
    "no more bytes for those who do not read",
    async () => {
      const { bytesOut } = (await status(lab, site.relayHome)).counters;
      const full = bytesOut === before;
      before = bytesOut;
      return full ? true : undefined;
    },
    20_000,
  );
}

test("100 visitors that never read cost neither memory nor another visitor's speed", async () => {
  await using _ = await startService(lab, lab.agent, `source:tcp:${PORT}:${OFFERED_BYTES}`);
  await using __ = await open(lab, site.agentHome, "expose", `${PORT}`);
  const speed = async (): Promise<number> =>
    (await visit<{ bytesPerSec: number }>(lab, lab.visitor, "rate", lab.relay.v4, PORT, ROUND_MS)).bytesPerSec;
  await speed();
  const alone: number[] = [];
  const beside: number[] = [];
  const resident = { relay: 0, agent: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    alone.push(await speed());
    await using held = startVisitor(lab, lab.visitor, "hold", lab.relay.v4, PORT, STALLED_VISITORS);
    await held.event("holding", { deadlineMs: 30_000 });
    await windowsAreFull();
    beside.push(await speed());
    resident.relay = Math.max(resident.relay, residentBytes(site.relay.pid));
    resident.agent = Math.max(resident.agent, residentBytes(site.agent.pid));
    expect(held.stdout.filter((line) => line.includes('"lost"'))).toEqual([]);
  }
  const ratio = median(beside.map((rate, round) => rate / alone[round]!));
  console.log(
    `alone ${inMB(...alone)} MB/s, beside ${STALLED_VISITORS} stalled ${inMB(...beside)} MB/s, ratio ${ratio.toFixed(2)}; ` +
      `relay ${inMB(resident.relay)} MB, agent ${inMB(resident.agent)} MB`,
  );
  expect(resident.relay).toBeLessThan(MAX_RESIDENT_BYTES);
  expect(resident.agent).toBeLessThan(MAX_RESIDENT_BYTES);
  expect(ratio).toBeGreaterThanOrEqual(MIN_SPEED_RATIO);
}, 60_000);
