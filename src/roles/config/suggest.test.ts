import { expect, test } from "bun:test";
import { closest } from "./suggest.ts";

test.each([
  ["prots", ["ports", "protocol"], "ports"],
  ["proxyProtocol", ["proxy-protocol"], "proxy-protocol"],
  ["teh", ["the"], "the"],
  ["xyz", ["ports"], null],
  ["", ["ports"], null],
])("the known word closest to %p", (word, known, expected) => {
  expect(closest(word, known)).toBe(expected);
});
