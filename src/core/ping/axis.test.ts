import { describe, expect, test } from "bun:test";
import { newRandom } from "../../../test/fuzz/random.ts";
import { axisFor } from "./axis.ts";

describe("the axis", () => {
  for (const { name, values, kind, labels } of [
    {
      name: "is linear from 0 when the values are alike in size",
      values: [4, 21],
      kind: "linear",
      labels: "0 10 20 30",
    },
    { name: "is linear up to a ratio of ten", values: [2, 20], kind: "linear", labels: "0 5 10 15 20" },
    { name: "is logarithmic beyond", values: [0.4, 22], kind: "log", labels: "0.5 1 2 5 10 20" },
    {
      name: "starts at a round number when all is high",
      values: [190, 214],
      kind: "linear",
      labels: "160 180 200 220",
    },
    { name: "does not magnify what is nothing", values: [20.01, 20.02], kind: "linear", labels: "14 16 18 20 22" },
    { name: "shows one value", values: [8], kind: "linear", labels: "6.0 6.5 7.0 7.5 8.0" },
    { name: "shows microseconds", values: [0.07, 0.11], kind: "linear", labels: "0.07 0.08 0.09 0.10 0.11" },
    {
      name: "has room for decades only when there are many",
      values: [0.2, 4_000],
      kind: "log",
      labels: "1 10 100 1000",
    },
    { name: "takes no time at all", values: [0, 0], kind: "linear", labels: "" },
  ]) {
    test(name, () => {
      const axis = axisFor(values);
      expect(axis.kind as string).toBe(kind);
      if (labels !== "") expect(axis.ticks.map(({ label }) => label).join(" ")).toBe(labels);
    });
  }

  test("holds every value, in order, whatever the values are", () => {
    const random = newRandom(4);
    for (let run = 0; run < 2_000; run++) {
      const size = 10 ** (random.below(7) - 3);
      const values = Array.from({ length: 1 + random.below(20) }, () => (random.below(1_000) / 10) * size);
      const axis = axisFor(values);
      const sorted = values.toSorted((a, b) => a - b);
      const places = sorted.map((ms) => axis.place(ms));
      expect(places).toEqual(places.toSorted((a, b) => a - b));
      expect(axis.highMs).toBeGreaterThanOrEqual((sorted.at(-1) ?? 0) * 0.999_999);
      expect(axis.lowMs).toBeLessThanOrEqual(Math.max(sorted[0] ?? 0, 0.001) * 1.000_001);
      expect(axis.ticks.length).toBeGreaterThanOrEqual(2);
      expect(axis.ticks.length).toBeLessThanOrEqual(10);
      for (const { ms, label } of axis.ticks) {
        expect(axis.place(ms)).toBeGreaterThanOrEqual(0);
        expect(Number(label)).toBeCloseTo(ms, 3);
        expect(label.length).toBeLessThanOrEqual(7);
      }
    }
  });

  test("gives equal ratios equal heights when it is logarithmic", () => {
    const axis = axisFor([1, 100]);
    expect(axis.place(10) - axis.place(1)).toBeCloseTo(axis.place(100) - axis.place(10), 9);
  });

  test("gives equal differences equal heights when it is linear", () => {
    const axis = axisFor([10, 20]);
    expect(axis.place(12) - axis.place(11)).toBeCloseTo(axis.place(20) - axis.place(19), 9);
  });
});
