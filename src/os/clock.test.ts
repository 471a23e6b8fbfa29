import { expect, test } from "bun:test";
import { monotonicMs, nowMs } from "./clock.ts";

test("the wall clock tells this century, the other one never goes backwards", () => {
  expect(new Date(nowMs()).getUTCFullYear()).toBeGreaterThanOrEqual(2026);
  const times = Array.from({ length: 100 }, monotonicMs);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});
