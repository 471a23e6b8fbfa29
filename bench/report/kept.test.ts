import { describe, expect, test } from "bun:test";
import { asJson, fromJson, withKept } from "./kept.ts";
import type { Results, Row } from "./results.ts";

const ORDER = ["bulk", "udp", "start"];

const row = (measure: string, value: number): Row => ({
  measure,
  figure: { id: "f", label: measure, unit: "u", better: "lower" },
  plane: "remote",
  oursOnly: false,
  cells: new Map([["ours", { samples: [value], problem: null }]]),
});

const results = (
  command: string,
  value: number,
  measures: readonly string[],
  more: Partial<Results> = {},
): Results => ({
  runs: [{ command, startedAt: "2026-11-25T00:00:00.000Z", rounds: 5, seconds: 1, measures }],
  machine: "this one",
  ours: "ours",
  columns: [{ peer: "ours", plane: "remote", version: "1", encryption: "TLS" }],
  absent: new Map(),
  rows: measures.map((measure) => row(measure, value)),
  ...more,
});

test("samples come back from a file as they were", () => {
  const written = results("all", 1, ORDER, { absent: new Map([["gone", "not here"]]) });
  expect(fromJson(asJson(written))).toEqual(written);
});

test("what is measured again replaces what was kept, in the order of the measures", () => {
  const merged = withKept(results("again", 2, ["udp"]), results("all", 1, ORDER), ORDER);
  expect(merged.rows.map(({ measure, cells }) => [measure, cells.get("ours")?.samples[0]])).toEqual([
    ["bulk", 1],
    ["udp", 2],
    ["start", 1],
  ]);
  expect(merged.runs.map(({ command, measures }) => [command, measures])).toEqual([
    ["again", ["udp"]],
    ["all", ["bulk", "start"]],
  ]);
  expect(merged.columns).toHaveLength(1);
});

describe("samples that cannot stand in one table", () => {
  const now = results("now", 1, ["udp"]);
  test.each([
    ["of another machine", { machine: "that one" }, "another machine"],
    ["of another version", { columns: [{ ...now.columns[0]!, version: "2" }] }, "ours 2, not 1"],
  ])("%s", (_name, more, sentence) => {
    expect(() => withKept(now, results("all", 1, ORDER, more), ORDER)).toThrow(sentence);
  });
});
