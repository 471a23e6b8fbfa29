import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { shaperBurstBytes, TokenBucket } from "./token-bucket.ts";

const HOUR_MS = 3_600_000;

test("starts full, empties, refills at the rate", () => {
  const bucket = new TokenBucket(10, 20, 0);
  expect(bucket.take(20, 0)).toBe(true);
  expect(bucket.take(1, 0)).toBe(false);
  expect(bucket.waitMs(1, 0)).toBe(100);
  expect(bucket.take(1, 99)).toBe(false);
  expect(bucket.take(1, 100)).toBe(true);
  expect(bucket.waitMs(20, 100)).toBe(2000);
});

test("a request above the burst is served by a full bucket and leaves a debt", () => {
  const bucket = new TokenBucket(1000, 100, 0);
  expect(bucket.take(1000, 0)).toBe(true);
  expect(bucket.waitMs(1, 0)).toBe(901);
  expect(bucket.waitMs(5000, 0)).toBe(1000);
});

test("spend goes into debt and waitMs says when to go on", () => {
  const bucket = new TokenBucket(1000, 100, 0);
  bucket.spend(600, 0);
  expect(bucket.waitMs(1, 0)).toBe(501);
  expect(bucket.take(1, 501)).toBe(true);
});

test("setRate keeps what was saved or owed", () => {
  const bucket = new TokenBucket(1000, 100, 0);
  bucket.setRate(10, 50, 0);
  expect(bucket.take(50, 0)).toBe(true);
  expect(bucket.waitMs(1, 0)).toBe(100);
});

describe("clock jumps", () => {
  test("back: nothing is refilled, and refilling goes on from there", () => {
    const bucket = new TokenBucket(10, 10, HOUR_MS);
    bucket.spend(10, HOUR_MS);
    expect(bucket.waitMs(1, 0)).toBe(100);
    expect(bucket.take(1, 100)).toBe(true);
  });
  test("forward: the burst is the most it gains", () => {
    const bucket = new TokenBucket(10, 10, 0);
    bucket.spend(10, 0);
    expect(bucket.take(10, HOUR_MS)).toBe(true);
    expect(bucket.take(1, HOUR_MS)).toBe(false);
  });
});

test("never gives more than burst + rate × time, and waitMs is honest", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 1, max: 500 })), { maxLength: 40 }),
      (rate, burst, steps) => {
        const bucket = new TokenBucket(rate, burst, 0);
        let nowMs = 0;
        let taken = 0;
        for (const [elapsedMs, wanted] of steps) {
          nowMs += elapsedMs;
          const n = Math.min(wanted, burst);
          if (bucket.take(n, nowMs)) taken += n;
          else {
            nowMs += bucket.waitMs(n, nowMs) + 1;
            expect(bucket.take(n, nowMs)).toBe(true);
            taken += n;
          }
          expect(taken).toBeLessThanOrEqual(burst + (rate * nowMs) / 1000 + 1e-6);
        }
      },
    ),
  );
});

test("the shaper's burst", () => {
  expect(shaperBurstBytes(1000)).toBe(65_536);
  expect(shaperBurstBytes(10_000_000)).toBe(1_000_000);
});
