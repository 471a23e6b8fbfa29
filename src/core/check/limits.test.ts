import { expect, test } from "bun:test";
import { CHECK_LIMITS, CheckLimits } from "./limits.ts";

const NAMES = ["address 192.0.2.7", "device a"];
const { perAsker, total, atOnce, atOncePerAsker } = CHECK_LIMITS;

/** Enters and leaves at once. */
const pass = (limits: CheckLimits, names: readonly string[], nowMs: number) => {
  const wait = limits.enter(names, nowMs);
  if (wait === null) limits.leave(names);
  return wait;
};

test("an asker has a burst, then one check each ten seconds", () => {
  const limits = new CheckLimits(0);
  for (let n = 0; n < perAsker.burst; n++) expect(pass(limits, NAMES, 0)).toBeNull();
  expect(pass(limits, NAMES, 0)).toBe(10);
  expect(pass(limits, NAMES, 9_000)).toBe(1);
  expect(pass(limits, NAMES, 10_000)).toBeNull();
  expect(pass(limits, NAMES, 10_000)).toBe(10);
});

test("devices behind one address share its count, and a device takes its own along", () => {
  const limits = new CheckLimits(0);
  for (let n = 0; n < perAsker.burst; n++) pass(limits, ["address 192.0.2.7", `device ${n}`], 0);
  expect(pass(limits, ["address 192.0.2.7", "device new"], 0)).toBe(10);
  for (let n = 0; n < perAsker.burst; n++) expect(pass(limits, [`address ${n}`, "device mover"], 0)).toBeNull();
  expect(pass(limits, ["address other", "device mover"], 0)).toBe(10);
});

test("who is refused uses nothing up", () => {
  const limits = new CheckLimits(0);
  for (let n = 0; n < perAsker.burst; n++) pass(limits, NAMES, 0);
  for (let n = 0; n < 1_000; n++) expect(pass(limits, NAMES, 0)).toBe(10);
  expect(pass(limits, NAMES, 10_000)).toBeNull();
  expect(pass(limits, ["address fresh"], 10_000)).toBeNull();
});

test("all askers together have a limit", () => {
  const limits = new CheckLimits(0);
  let passed = 0;
  for (let n = 0; n < 1_000; n++) if (pass(limits, [`address ${n}`], 0) === null) passed++;
  expect(passed).toBe(total.burst);
  expect(pass(limits, ["address later"], 1_000)).toBeNull();
});

test("one asker has few probes open at once, and all together not many", () => {
  const limits = new CheckLimits(0);
  for (let n = 0; n < atOncePerAsker; n++) expect(limits.enter(NAMES, 0)).toBeNull();
  expect(limits.enter(NAMES, 0)).toBe(1);
  limits.leave(NAMES);
  expect(limits.enter(NAMES, 0)).toBeNull();
  for (let n = 0; limits.open < atOnce; n++) expect(limits.enter([`address ${n}`], 0)).toBeNull();
  expect(limits.enter(["address more"], 0)).toBe(1);
});

test("more askers than are remembered forget the oldest, and never count below none", () => {
  const limits = new CheckLimits(0);
  expect(limits.enter(NAMES, 0)).toBeNull();
  for (let n = 0; n < 20_000; n++) pass(limits, [`address ${n}`], n * 1_000);
  limits.leave(NAMES);
  expect(limits.open).toBe(0);
  expect(pass(limits, NAMES, 20_000_000)).toBeNull();
});
