import { expect, test } from "bun:test";
import { RisingCounts } from "./rising-counts.ts";

test.each<[string, Record<string, number>[], Record<string, number>]>([
  ["nothing told", [], {}],
  ["rising", [{ a: 1 }, { a: 3, b: 1 }], { a: 3, b: 1 }],
  ["told twice", [{ a: 3 }, { a: 3 }], { a: 3 }],
  ["from zero again", [{ a: 3 }, { a: 1 }, { a: 2 }], { a: 5 }],
  ["from zero again, and not there yet", [{ a: 3 }, {}, { a: 4 }], { a: 7 }],
])("%s", (_name, told, total) => {
  const counts = new RisingCounts();
  for (const one of told) counts.saw(one);
  expect(counts.total()).toEqual(total);
});
