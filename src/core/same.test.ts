import { describe, expect, test } from "bun:test";
import { same } from "./same.ts";

describe("same", () => {
  const cases: [string, unknown, unknown, boolean][] = [
    ["equal numbers", 1, 1, true],
    ["a number and its text", 1, "1", false],
    ["null and an object", null, {}, false],
    ["an object and null", {}, null, false],
    ["order of keys", { a: 1, b: [1, 2] }, { b: [1, 2], a: 1 }, true],
    ["order of items", [1, 2], [2, 1], false],
    ["a shorter list", [1], [1, 2], false],
    ["an array and an object", [], {}, false],
    ["undefined and absent", { a: 1, b: undefined }, { a: 1 }, true],
    ["another key", { a: 1 }, { b: 1 }, false],
    ["null and absent", { a: null }, {}, false],
    ["deep", { a: { b: [{ c: null }] } }, { a: { b: [{ c: null }] } }, true],
    ["deep difference", { a: { b: [{ c: null }] } }, { a: { b: [{ c: 0 }] } }, false],
  ];
  for (const [name, a, b, expected] of cases) {
    test(name, () => expect(same(a, b)).toBe(expected));
  }
});
