import { describe, expect, test } from "bun:test";
import { type HealthStatus, probed, serves, startHealth } from "./health.ts";

const CHECK = { intervalSec: 10, timeoutSec: 2, failures: 3 };

describe("status after probes (+ success, - failure)", () => {
  const cases: [string, HealthStatus][] = [
    ["", "unknown"],
    ["-", "unknown"],
    ["--", "unknown"],
    ["---", "unhealthy"],
    ["+", "healthy"],
    ["+--", "healthy"],
    ["+--+--", "healthy"],
    ["+---", "unhealthy"],
    ["----+", "healthy"],
    ["----+-", "healthy"],
  ];
  for (const [probes, status] of cases) {
    test(`"${probes}" is ${status}`, () => {
      let health = startHealth(0, 0);
      for (const probe of probes) health = probed(health, CHECK, probe === "+", 0, 0);
      expect(health.status).toBe(status);
      expect(serves(health)).toBe(status !== "unhealthy");
    });
  }
});

test("the first probe comes within a second, later ones within 10 % of the interval", () => {
  expect(startHealth(5000, 0).nextProbeMs).toBe(5000);
  expect(startHealth(5000, 1).nextProbeMs).toBe(6000);
  const health = startHealth(0, 0);
  expect(probed(health, CHECK, true, 1000, 0).nextProbeMs).toBe(10_000);
  expect(probed(health, CHECK, true, 1000, 0.5).nextProbeMs).toBe(11_000);
  expect(probed(health, CHECK, false, 1000, 1).nextProbeMs).toBeCloseTo(12_000);
});
