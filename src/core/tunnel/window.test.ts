import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES, ReceiveWindow, WindowBudget } from "./window.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A sender that uses all its credit at once, and a reader that takes it all after `readMs`; returns the window's sizes. */
function run(
  rounds: number,
  readMs: number,
  rttMs: number,
  budget = new WindowBudget(64 * MIB),
  mostBytes = MAX_WINDOW_BYTES,
): number[] {
  const window = new ReceiveWindow(budget, 0, mostBytes);
  const sizes: number[] = [];
  let allowed = INITIAL_WINDOW_BYTES;
  let nowMs = 0;
  for (let round = 0; round < rounds; round++) {
    expect(window.received(allowed)).toBe(true);
    nowMs += readMs;
    allowed = window.consumed(0, rttMs, nowMs);
    sizes.push(window.sizeBytes);
  }
  return sizes;
}

describe("autotuning", () => {
  test("doubles while the reader keeps up, to the most there is", () => {
    expect(run(8, 20, 20).map((size) => size / KIB)).toEqual([512, 1024, 2048, 4096, 8192, 16_384, 16_384, 16_384]);
    expect(run(20, 20, 20).at(-1)).toBe(MAX_WINDOW_BYTES);
    expect(run(5, 20, 20, undefined, MIB).map((size) => size / KIB)).toEqual([512, 1024, 1024, 1024, 1024]);
  });

  test("stays when the reader takes two round trips or more", () => {
    expect(run(5, 40, 20)).toEqual(Array.from({ length: 5 }, () => INITIAL_WINDOW_BYTES));
  });

  test("a link faster than the event loop counts as 4 ms", () => {
    expect(run(1, 7, 0)).toEqual([2 * INITIAL_WINDOW_BYTES]);
    expect(run(1, 8, 0)).toEqual([INITIAL_WINDOW_BYTES]);
  });

  test("a reader that stalls gets no credit", () => {
    const window = new ReceiveWindow(new WindowBudget(MIB), 0);
    window.received(INITIAL_WINDOW_BYTES);
    expect(window.consumed(INITIAL_WINDOW_BYTES, 10, 1)).toBe(0);
    expect(window.consumed(INITIAL_WINDOW_BYTES / 2 + 1, 10, 2)).toBe(0);
    expect(window.sizeBytes).toBe(INITIAL_WINDOW_BYTES);
    expect(window.consumed(INITIAL_WINDOW_BYTES / 2, 10, 1000)).toBe(INITIAL_WINDOW_BYTES / 2);
  });

  test("what the reader still holds comes back as credit exactly once", () => {
    const window = new ReceiveWindow(new WindowBudget(0), 0);
    window.received(200 * KIB);
    expect(window.consumed(50 * KIB, 10, 0)).toBe(150 * KIB);
    expect(window.consumed(0, 10, 0)).toBe(0);
    window.received(100 * KIB);
    expect(window.consumed(0, 10, 0)).toBe(150 * KIB);
  });

  test("does not grow beyond the budget, and goes on without it", () => {
    const sizes = run(6, 1, 20, new WindowBudget(INITIAL_WINDOW_BYTES));
    expect(sizes).toEqual(Array.from({ length: 6 }, () => 2 * INITIAL_WINDOW_BYTES));
  });
});

describe("credit", () => {
  const table: readonly (readonly [string, readonly number[], boolean])[] = [
    ["all of it", [INITIAL_WINDOW_BYTES], true],
    ["in parts", [1, INITIAL_WINDOW_BYTES - 1], true],
    ["a byte more", [INITIAL_WINDOW_BYTES + 1], false],
    ["a byte more, in parts", [INITIAL_WINDOW_BYTES, 1], false],
  ];
  for (const [name, parts, good] of table) {
    test(`${name}: ${good ? "good" : "an overrun"}`, () => {
      const window = new ReceiveWindow(new WindowBudget(MIB), 0);
      expect(parts.map((bytes) => window.received(bytes)).at(-1)).toBe(good);
    });
  }

  test("the sender may hold what the window says, never more", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ send: fc.nat(MIB), read: fc.nat(MIB), afterMs: fc.nat(30) }), { maxLength: 60 }),
        (steps) => {
          const budget = new WindowBudget(4 * MIB);
          const window = new ReceiveWindow(budget, 0);
          let credit = INITIAL_WINDOW_BYTES;
          let queued = 0;
          let nowMs = 0;
          for (const step of steps) {
            const sent = Math.min(step.send, credit);
            credit -= sent;
            queued += sent;
            expect(window.received(sent)).toBe(true);
            queued -= Math.min(step.read, queued);
            nowMs += step.afterMs;
            credit += window.consumed(queued, 10, nowMs);
            expect(credit + queued).toBeLessThanOrEqual(window.sizeBytes);
            expect(budget.usedBytes).toBe(window.sizeBytes - INITIAL_WINDOW_BYTES);
            // Nobody waits for ever: with an empty queue at least half the window may be sent.
            if (queued === 0) expect(credit).toBeGreaterThan(window.sizeBytes / 2 - 1);
          }
          window.release();
          window.release();
          expect(budget.usedBytes).toBe(0);
        },
      ),
    );
  });
});

describe("WindowBudget", () => {
  test("is exact, and takes from its parent too", () => {
    const parent = new WindowBudget(100);
    const a = new WindowBudget(80, parent);
    const b = new WindowBudget(80, parent);
    expect([a.take(80), a.take(1), b.take(21), b.take(20)]).toEqual([true, false, false, true]);
    expect([a.usedBytes, b.usedBytes, parent.usedBytes]).toEqual([80, 20, 100]);
    a.give(80);
    expect([a.usedBytes, b.usedBytes, parent.usedBytes]).toEqual([0, 20, 20]);
    expect(b.take(60)).toBe(true);
  });
});
