import { describe, expect, test } from "bun:test";
import { type Cell, type Column, compare, median, type Row } from "./results.ts";

describe("median", () => {
  const cases: readonly [string, readonly number[], number | null][] = [
    ["of nothing", [], null],
    ["of one", [4], 4],
    ["of an odd number, unsorted", [9, 1, 5], 5],
    ["of an even number: the middle two's mean", [1, 10, 2, 4], 3],
  ];
  for (const [name, samples, expected] of cases) test(name, () => expect(median(samples)).toBe(expected));
});

describe("compare", () => {
  const columns: readonly Column[] = ["ours", "a", "b", "plain"].map((peer) => ({
    peer,
    plane: "remote",
    version: "1",
    encryption: peer === "plain" ? null : "TLS",
  }));
  const row = (better: "higher" | "lower", values: Record<string, number>, oursOnly = false): Row => ({
    measure: "m",
    figure: { id: "f", label: "f", unit: "u", better },
    plane: "remote",
    oursOnly,
    cells: new Map(
      Object.entries(values).map(([peer, value]): [string, Cell] => [peer, { samples: [value], problem: null }]),
    ),
  });
  const cases: readonly [string, Row, ReturnType<typeof compare>][] = [
    ["higher is better: ours over the highest", row("higher", { ours: 6, a: 4, b: 3 }), { best: "a", ahead: 1.5 }],
    ["lower is better: the lowest over ours", row("lower", { ours: 2, a: 4, b: 3 }), { best: "b", ahead: 1.5 }],
    ["behind is below one", row("lower", { ours: 4, a: 2 }), { best: "a", ahead: 0.5 }],
    ["a peer without encryption is not ranked", row("higher", { ours: 6, a: 4, plain: 12 }), { best: "a", ahead: 1.5 }],
    ["nothing lost on either side is even", row("lower", { ours: 0, a: 0 }), { best: "a", ahead: 1 }],
    ["without a value of ours", row("higher", { a: 4 }), null],
    ["without a peer's value", row("higher", { ours: 4 }), null],
    ["what only ours does", row("higher", { ours: 4, a: 1 }, true), null],
  ];
  for (const [name, given, expected] of cases) {
    test(name, () => expect(compare(given, { ours: "ours", columns })).toEqual(expected));
  }
});
