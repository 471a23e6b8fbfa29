import { expect, test } from "bun:test";
import { figuresOf } from "../../src/console/pages/checks/figures.ts";

test.each([
  ["nothing", [], { medianMs: null, p90Ms: null, sent: 0, lost: 0 }],
  ["all lost", [null, null], { medianMs: null, p90Ms: null, sent: 2, lost: 2 }],
  ["one", [7], { medianMs: 7, p90Ms: 7, sent: 1, lost: 0 }],
  ["between two", [10, 20], { medianMs: 15, p90Ms: 19, sent: 2, lost: 0 }],
  ["in any order, with a loss", [30, null, 10, 20], { medianMs: 20, p90Ms: 28, sent: 4, lost: 1 }],
] as const)("%s", (_name, values, figures) => {
  expect(figuresOf(values)).toEqual(figures);
});
