import { describe, expect, test } from "bun:test";
import type { PingOutcome } from "./model.ts";
import { mainLoss, summarize } from "./series.ts";

const LOST: PingOutcome = { lost: "timeout" };
const outcomes = (...all: readonly (number | null)[]): PingOutcome[] => all.map((ms) => (ms === null ? LOST : { ms }));

describe("figures", () => {
  for (const { name, given, expected } of [
    {
      name: "of one answer are that answer, and there is no jitter",
      given: outcomes(7),
      expected: { minMs: 7, medianMs: 7, meanMs: 7, p90Ms: 7, p99Ms: 7, maxMs: 7, jitterMs: null },
    },
    {
      name: "of two: the median is between them",
      given: outcomes(10, 20),
      expected: { minMs: 10, medianMs: 15, meanMs: 15, p90Ms: 19, maxMs: 20, jitterMs: 10 },
    },
    {
      name: "do not go by the order of the answers",
      given: outcomes(5, 1, 4, 2, 3),
      expected: { minMs: 1, medianMs: 3, meanMs: 3, p90Ms: 4.6, maxMs: 5 },
    },
    {
      name: "one slow answer of eleven moves the mean and the tail, not the median",
      given: outcomes(2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1_002),
      expected: { medianMs: 2, p90Ms: 2, p99Ms: 902, maxMs: 1_002, meanMs: 1_022 / 11 },
    },
    {
      name: "leave losses out",
      given: outcomes(null, 3, null, 5),
      expected: { minMs: 3, medianMs: 4, maxMs: 5 },
    },
  ]) {
    test(name, () => {
      const { figures } = summarize(given);
      for (const [key, value] of Object.entries(expected)) {
        const found = figures?.[key as keyof typeof figures];
        if (value === null) expect({ [key]: found }).toEqual({ [key]: null });
        else expect(found).toBeCloseTo(value, 9);
      }
    });
  }

  test("of no answer are none", () => {
    expect(summarize(outcomes(null, null))).toEqual({ sent: 2, lost: 2, losses: { timeout: 2 }, figures: null });
    expect(summarize([])).toEqual({ sent: 0, lost: 0, losses: {}, figures: null });
  });
});

describe("jitter is the mean difference of successive answers", () => {
  for (const { name, given, jitterMs } of [
    { name: "a steady path has none", given: outcomes(20, 20, 20), jitterMs: 0 },
    { name: "both directions count alike", given: outcomes(10, 13, 10, 13), jitterMs: 3 },
    { name: "a slow drift counts little, though the range is wide", given: outcomes(10, 11, 12, 13, 14), jitterMs: 1 },
    { name: "a loss breaks the succession: 10 and 30 are no pair", given: outcomes(10, null, 30, 31), jitterMs: 1 },
  ]) {
    test(name, () => expect(summarize(given).figures?.jitterMs).toBeCloseTo(jitterMs, 9));
  }

  test("without two successive answers it is not known", () => {
    expect(summarize(outcomes(10, null, 30)).figures?.jitterMs).toBeNull();
  });
});

test("the main loss is the most frequent one", () => {
  expect(mainLoss(summarize([{ lost: "reset" }, LOST, LOST]))).toBe("timeout");
  expect(mainLoss(summarize(outcomes(1, 2)))).toBeNull();
});

test("losses are counted by reason", () => {
  const { sent, lost, losses } = summarize([{ ms: 1 }, LOST, { lost: "serviceRefused" }, LOST]);
  expect({ sent, lost, losses }).toEqual({ sent: 4, lost: 3, losses: { timeout: 2, serviceRefused: 1 } });
});
