import { describe, expect, test } from "bun:test";
import type { PingMeasure, PingOutcome } from "./model.ts";
import { summarize } from "./series.ts";
import { type MeasuredPath, msText, verdictOf } from "./verdict.ts";

function path(measure: PingMeasure, ...points: readonly (number | null)[]): MeasuredPath {
  const outcomes = points.map((ms): PingOutcome => (ms === null ? { lost: "timeout" } : { ms }));
  return { summary: summarize(outcomes), measure };
}

describe("the verdict", () => {
  for (const { name, direct, forwarded, character, addedMs, text } of [
    {
      name: "of a steady detour",
      direct: path("connect", 1, 1.2, 1.1),
      forwarded: path("connect", 21.3, 21.5, 21.4),
      character: "steady",
      addedMs: 20.3,
      text: "The forwarded path adds 20.3 ms (median); it is steady.",
    },
    {
      name: "goes by the median: one slow probe changes nothing of it",
      direct: path("answer", 1, 1, 1),
      forwarded: path("answer", 5, 5, 6, 5, 5),
      character: "steady",
      addedMs: 4,
      text: "The forwarded path adds 4.00 ms (median); it is steady.",
    },
    {
      name: "of a jittery one says how much",
      direct: path("answer", 1, 1, 1),
      forwarded: path("answer", 20, 30, 20, 30),
      character: "jittery",
      addedMs: 24,
      text: "The forwarded path adds 24.0 ms (median); it is jittery (10.0 ms from one probe to the next).",
    },
    {
      name: "of a lossy one says how many and why",
      direct: path("answer", 1, 1, 1, 1),
      forwarded: path("answer", 20, null, 20, null),
      character: "lossy",
      addedMs: 19,
      text: "The forwarded path adds 19.0 ms (median); it is lossy (2 of 4 lost: no answer in time).",
    },
    {
      name: "of a shortcut",
      direct: path("connect", 30, 30),
      forwarded: path("connect", 20, 20),
      character: "steady",
      addedMs: -10,
      text: "The forwarded path is 10.0 ms faster than the direct one (median); it is steady.",
    },
    {
      name: "of no difference",
      direct: path("connect", 5, 5),
      forwarded: path("connect", 5.01, 5.01),
      character: "steady",
      addedMs: 0.01,
      text: "The forwarded path takes as long as the direct one; it is steady.",
    },
    {
      name: "when the direct path is closed",
      direct: path("connect", null, null),
      forwarded: path("connect", 20, 21),
      character: "steady",
      addedMs: null,
      text: "The direct path did not answer (no answer in time). The forwarded path takes 20.5 ms (median); it is steady.",
    },
    {
      name: "when the forwarded path is closed",
      direct: path("connect", 5, 5),
      forwarded: path("connect", null, null),
      character: "dead",
      addedMs: null,
      text: "The forwarded path did not answer (no answer in time). The direct path takes 5.00 ms (median); it is steady.",
    },
    {
      name: "when both are closed",
      direct: path("connect", null),
      forwarded: path("connect", null),
      character: "dead",
      addedMs: null,
      text: "The direct path did not answer (no answer in time). The forwarded path did not answer (no answer in time).",
    },
    {
      name: "of the direct path alone",
      direct: path("connect", 5, 5),
      forwarded: null,
      character: "steady",
      addedMs: null,
      text: "The direct path takes 5.00 ms (median); it is steady.",
    },
    {
      name: "compares nothing with an entry that accepts before the service is reached",
      direct: path("connect", 5, 5),
      forwarded: path("accept", 2, 2),
      character: "steady",
      addedMs: null,
      text: "The entry accepts after 2.00 ms (median); how long the service behind it takes was not seen.",
    },
  ] as const) {
    test(name, () => {
      const verdict = verdictOf(direct, forwarded);
      expect([verdict.character as string, verdict.text]).toEqual([character, text]);
      if (addedMs === null) expect(verdict.addedMs).toBeNull();
      else expect(verdict.addedMs).toBeCloseTo(addedMs, 9);
    });
  }

  test("a quick path's small differences are no jitter, a slow one's large ones are not either", () => {
    expect(verdictOf(null, path("connect", 0.2, 1.8, 0.2, 1.8)).character).toBe("steady");
    expect(verdictOf(null, path("connect", 300, 340, 300, 340)).character).toBe("steady");
    expect(verdictOf(null, path("connect", 300, 350, 300, 350)).character).toBe("jittery");
  });
});

test.each([
  [0, "0.00 ms"],
  [0.3449, "0.34 ms"],
  [9.994, "9.99 ms"],
  [9.996, "10.0 ms"],
  [20.34, "20.3 ms"],
  [99.96, "100 ms"],
  [1250.4, "1250 ms"],
])("%p milliseconds are %p", (ms, text) => {
  expect(msText(ms)).toBe(text);
});
