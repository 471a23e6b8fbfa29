import { expect, test } from "bun:test";
import { printable } from "./printable.ts";

test.each([
  ["plain", "plain"],
  ["\u0000", ""],
  ["\ud800lone", "\ufffdlone"],
  ["a\nb", "a b"],
  ["\u200b\u2028x\u202e", "x"],
  ["é".repeat(200), "é".repeat(128)],
])("printable(%j)", (written, expected) => {
  expect(printable(written)).toBe(expected);
});
