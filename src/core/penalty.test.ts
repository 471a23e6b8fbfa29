import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Offence, Penalties, SOURCE_PENALTIES } from "./penalty.ts";

const SEC_MS = 1000;
const HOUR_MS = 3_600_000;

/** Seconds of refusal after each of `offences`, one right after the other. */
function after(offences: Offence[], penalties = new Penalties()): number[] {
  return offences.map((offence) => penalties.offend("k", offence, 0) / SEC_MS);
}

const times = (n: number, offence: Offence): Offence[] => Array.from({ length: n }, () => offence);

describe("seconds of refusal after offences at once", () => {
  const cases: [string, Offence[], number[]][] = [
    ["wrong credentials double", times(9, "failed"), [0, 15, 35, 75, 155, 315, 600, 600, 600]],
    ["dropped connections add up", times(17, "noAuth"), [...times(14, "noAuth").map(() => 0), 15, 16, 17]],
    ["time for logging in passed", times(3, "graceExceeded"), [0, 20, 30]],
    ["mixed", ["noAuth", "graceExceeded", "failed", "noAuth", "failed"], [0, 0, 16, 17, 27]],
  ];
  for (const [name, offences, expected] of cases) test(name, () => expect(after(offences)).toEqual(expected));
});

test("the penalty runs down, and trying once per penalty does not start over", () => {
  const penalties = new Penalties();
  penalties.offend("k", "failed", 0);
  expect(penalties.offend("k", "failed", 0)).toBe(15 * SEC_MS);
  expect(penalties.refusedMs("k", 10 * SEC_MS)).toBe(5 * SEC_MS);
  expect(penalties.refusedMs("k", 15 * SEC_MS)).toBe(0);
  expect(penalties.offend("k", "failed", 15 * SEC_MS)).toBe(20 * SEC_MS);
  expect(penalties.offend("k", "failed", 35 * SEC_MS)).toBe(40 * SEC_MS);
});

test("a record is forgotten ten minutes after its penalty", () => {
  const penalties = new Penalties();
  after(times(2, "failed"), penalties);
  expect(penalties.offend("other", "failed", 615 * SEC_MS - 1)).toBe(0);
  expect(penalties.size).toBe(2);
  expect(penalties.offend("k", "failed", 615 * SEC_MS)).toBe(0);
});

test("what another record earned raises the penalty, and no further than the longest", () => {
  const penalties = new Penalties();
  expect(penalties.offend("k", "failed", 0, 100 * SEC_MS)).toBe(100 * SEC_MS);
  expect(penalties.offend("low", "failed", 0, 1)).toBe(0);
  expect(penalties.offend("high", "failed", 0, HOUR_MS)).toBe(600 * SEC_MS);
});

test("others are not refused", () => {
  const penalties = new Penalties();
  after(times(9, "failed"), penalties);
  expect(penalties.refusedMs("honest", 0)).toBe(0);
});

test("nobody waits longer than the longest penalty", () => {
  expect(Math.max(...after(times(50, "failed"), new Penalties({ ...SOURCE_PENALTIES, maxSec: 30 })))).toBe(30);
});

describe("clock jumps", () => {
  test("back: refused for what is left, at most ten minutes from then", () => {
    const penalties = new Penalties();
    for (const _ of times(9, "failed")) penalties.offend("k", "failed", HOUR_MS);
    expect(penalties.refusedMs("k", 0)).toBe(600 * SEC_MS);
    expect(penalties.refusedMs("k", 599 * SEC_MS)).toBe(SEC_MS);
  });
  test("forward: the penalty has passed", () => {
    const penalties = new Penalties();
    after(times(9, "failed"), penalties);
    expect(penalties.refusedMs("k", HOUR_MS)).toBe(0);
  });
});

test("a full table lets the record that ends soonest go: an attacker's stays", () => {
  const penalties = new Penalties({ ...SOURCE_PENALTIES, maxRecords: 3 });
  for (const _ of times(6, "failed")) penalties.offend("attacker", "failed", 0);
  penalties.offend("mistake", "failed", 0);
  penalties.offend("scanner", "noAuth", 0);
  penalties.offend("newcomer", "failed", 0);
  penalties.offend("another", "failed", 0);
  expect(penalties.size).toBe(3);
  expect(penalties.refusedMs("attacker", 0)).toBe(315 * SEC_MS);
});

test("bounded in memory and in time, whatever comes", () => {
  const step = fc.tuple(
    fc.integer({ min: 0, max: 20 }).map(String),
    fc.constantFrom<Offence>("noAuth", "failed", "graceExceeded"),
    fc.oneof(fc.integer({ min: 0, max: 60 * SEC_MS }), fc.constantFrom(HOUR_MS, -HOUR_MS)),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const penalties = new Penalties({ ...SOURCE_PENALTIES, maxRecords: 8 });
      let nowMs = 10 * HOUR_MS;
      for (const [key, offence, elapsedMs] of steps) {
        nowMs += elapsedMs;
        const refusedMs = penalties.offend(key, offence, nowMs);
        expect(refusedMs).toBeLessThanOrEqual(600 * SEC_MS);
        expect(penalties.refusedMs(key, nowMs)).toBe(refusedMs);
        expect(penalties.size).toBeLessThanOrEqual(8);
      }
    }),
  );
});
