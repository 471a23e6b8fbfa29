import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EpochWatch } from "./epoch-watch.ts";

/** The epoch seen first, the seconds until the next, the epoch then → lost. */
type Case = [string, number, number, number, boolean];

function check(protocol: "natPmp" | "pcp", cases: readonly Case[]): void {
  for (const [name, beforeSec, elapsedSec, epochSec, lost] of cases) {
    test(name, () => {
      const watch = new EpochWatch(protocol);
      expect(watch.lostBy(beforeSec, 1_000_000)).toBe(false);
      expect(watch.lostBy(epochSec, 1_000_000 + elapsedSec * 1000)).toBe(lost);
    });
  }
}

describe("NAT-PMP: RFC 6886 §3.6", () => {
  check("natPmp", [
    ["in step", 1000, 80, 1080, false],
    ["exactly 7/8 of the time", 1000, 80, 1070, false],
    ["2 s below that", 1000, 80, 1068, false],
    ["3 s below that", 1000, 80, 1067, true],
    ["a fraction more than 2 s below", 1000, 80.01, 1068, true],
    ["back by 2 s at once", 1000, 0, 998, false],
    ["back by 3 s at once", 1000, 0, 997, true],
    ["a reboot", 100_000, 10, 3, true],
    ["a server that runs fast", 1000, 10, 5000, false],
    ["a reboot that time has covered up", 10, 10_000, 9000, false],
  ]);
});

describe("PCP: RFC 6887 §8.5", () => {
  check("pcp", [
    ["in step", 1000, 80, 1080, false],
    ["back by 1 s", 1000, 0, 999, false],
    ["back by 2 s", 1000, 0, 998, true],
    ["back by 1 s after 1 s", 1000, 1, 999, false],
    ["back by 1 s after 2 s", 1000, 2, 999, true],
    ["server ahead by 2 s", 1000, 0, 1002, false],
    ["server ahead by 3 s", 1000, 0, 1003, true],
    // 160 - 10 = 150: the other clock may have counted 148.
    ["server slow by a sixteenth and 2 s", 1000, 160, 1148, false],
    ["server slower", 1000, 160, 1147, true],
    ["server fast by a sixteenth and 2 s", 1000, 148, 1160, false],
    ["server faster", 1000, 147, 1160, true],
    ["the sixteenth is of whole seconds", 1000, 15.9, 1013, false],
    ["a reboot", 100_000, 10, 3, true],
  ]);
});

test("what was seen last is the measure, valid or not", () => {
  for (const protocol of ["natPmp", "pcp"] as const) {
    const watch = new EpochWatch(protocol);
    expect([watch.lostBy(5000, 0), watch.lostBy(0, 1000), watch.lostBy(10, 11_000), watch.lostBy(0, 12_000)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  }
});

test("a server whose clock is right is never taken to have lost anything, whatever the fractions", () => {
  const steps = fc.array(fc.integer({ min: 0, max: 100_000_000 }), { maxLength: 10 });
  fc.assert(
    fc.property(fc.constantFrom("natPmp" as const, "pcp" as const), fc.nat(999), steps, (protocol, skewMs, waits) => {
      const watch = new EpochWatch(protocol);
      let nowMs = 0;
      for (const waitMs of waits) {
        nowMs += waitMs;
        expect(watch.lostBy(Math.floor((nowMs + skewMs) / 1000), nowMs)).toBe(false);
      }
    }),
  );
});
