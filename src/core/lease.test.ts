import { describe, expect, test } from "bun:test";
import { formatRemaining, leaseEndMs } from "./lease.ts";

test("a lease ends its lifetime from now, or never", () => {
  expect(leaseEndMs(600, 1000)).toBe(601_000);
  expect(leaseEndMs(0, 1000)).toBe(1000);
  expect(leaseEndMs(null, 1000)).toBeNull();
});

describe("formatRemaining", () => {
  const cases: [number, string][] = [
    [-5, "1 s"],
    [1, "1 s"],
    [44_001, "45 s"],
    [60_000, "1 min"],
    [598_000, "9 min 58 s"],
    [3_600_000, "1 h"],
    [7_500_000, "2 h 5 min"],
    [7_500_001, "2 h 6 min"],
  ];
  for (const [ms, text] of cases) {
    test(text, () => expect(formatRemaining(ms)).toBe(text));
  }
});
