import { expect, test } from "bun:test";
import { checkAfterMs, MOST_AT_ONCE, requestsAtOnce, spreadMs } from "./pace.ts";

test.each([
  ["a lone mapping: 45 s", 1, 0, 45_000],
  ["to 60 s", 1, 1, 60_000],
  ["sixty are still one a second", 60, 1, 60_000],
  ["of a thousand each has its turn in a quarter of an hour", 1000, 1, 1_000_000],
])("checks: %s", (_, crowd, random, expected) => {
  expect(checkAfterMs(crowd, random)).toBe(expected);
});

test.each([
  ["a lone mapping waits for nobody", 1, 1, 0],
  ["ten: a tenth of a second", 10, 1, 100],
  ["256: two and a half seconds", 256, 1, 2560],
  ["five seconds at most", 100_000, 1, 5000],
  ["whose lot is the first", 256, 0, 0],
])("all at the same time: %s", (_, crowd, random, expected) => {
  expect(spreadMs(crowd, random)).toBe(expected);
});

test("a slow router is soon asked one thing at a time, and a quick one soon eight", () => {
  const after = (from: number, ...tookMs: number[]) => tookMs.reduce(requestsAtOnce, from);
  expect(after(8, 600)).toBe(4);
  expect(after(8, 600, 900, 4000)).toBe(1);
  expect(after(1, 10_000)).toBe(1);
  expect(after(1, ...Array.from({ length: 7 }, () => 20))).toBe(MOST_AT_ONCE);
  expect(after(MOST_AT_ONCE, 0)).toBe(MOST_AT_ONCE);
  // Neither.
  expect(after(3, 151, 599)).toBe(3);
});
