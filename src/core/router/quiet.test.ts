import { expect, test } from "bun:test";
import { failure } from "./keeper.fixture.ts";
import type { RouterFailureKind } from "./model.ts";
import { isAbsence, Quiet } from "./quiet.ts";

const SILENT = failure("silent");

test("a router that answers is asked at any time, whatever it answers", () => {
  const quiet = new Quiet();
  const kinds: RouterFailureKind[] = ["conflict", "refused", "exhausted", "no-uplink", "garbled", "unsupported"];
  for (const kind of kinds) {
    expect([kind, isAbsence(kind)]).toEqual([kind, false]);
    expect(quiet.admit(0)).toBeNull();
    expect(quiet.ended(failure(kind), 0, 0)).toBe(false);
  }
  expect(quiet.admit(0)).toBeNull();
});

test("after a silence one request at a time finds out, after 0.5 to 1 s, then ever later, up to 15 to 30 s", () => {
  for (const [random, expected] of [
    [0, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]],
    [1, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]],
  ] as const) {
    const quiet = new Quiet();
    let nowMs = 0;
    quiet.admit(nowMs);
    quiet.ended(SILENT, nowMs, random);
    const waits: number[] = [];
    for (const waitMs of expected) {
      expect(quiet.admit(nowMs + waitMs - 1)).toBe(SILENT);
      nowMs += waitMs;
      expect(quiet.admit(nowMs)).toBeNull();
      // The others wait for that one.
      expect(quiet.admit(nowMs + 1)).toBe(SILENT);
      waits.push(waitMs);
      quiet.ended(SILENT, nowMs, random);
    }
    expect(waits).toEqual([...expected]);
  }
});

test("several that were under way when it fell silent are one silence", () => {
  const quiet = new Quiet();
  for (let count = 0; count < 8; count++) quiet.admit(0);
  for (let count = 0; count < 8; count++) quiet.ended(SILENT, 0, 0);
  expect([quiet.admit(499), quiet.admit(500)]).toEqual([SILENT, null]);
});

test("any answer ends it, and says so once", () => {
  for (const answer of [null, failure("conflict")]) {
    const quiet = new Quiet();
    quiet.admit(0);
    quiet.ended(failure("closed"), 0, 0);
    quiet.admit(500);
    expect(quiet.ended(answer, 500, 0)).toBe(true);
    expect(quiet.ended(null, 500, 0)).toBe(false);
    expect(quiet.admit(500)).toBeNull();
    // The next silence begins small.
    quiet.ended(SILENT, 600, 0);
    expect(quiet.admit(1100)).toBeNull();
  }
});

test("what was called off is no silence, and the next one may find out", () => {
  const quiet = new Quiet();
  quiet.admit(0);
  quiet.ended(SILENT, 0, 0);
  expect(quiet.admit(500)).toBeNull();
  quiet.abandoned();
  expect(quiet.admit(500)).toBeNull();
});
