import { expect, test } from "bun:test";
import { ApiFailure } from "../../servers/api/backend.ts";
import { pageOf } from "./pages.ts";

const keyOf = (item: string) => item;

test("pages follow one another, and end", () => {
  const items = ["d", "b", "a", "c", "e"];
  const first = pageOf(items, keyOf, { limit: 2, cursor: null });
  expect(first.items).toEqual(["a", "b"]);
  const second = pageOf(items, keyOf, { limit: 2, cursor: first.next });
  expect(second.items).toEqual(["c", "d"]);
  expect(pageOf(items, keyOf, { limit: 2, cursor: second.next })).toEqual({ items: ["e"], next: null });
  expect(pageOf(items, keyOf, { limit: 5, cursor: null }).next).toBeNull();
  expect(pageOf([], keyOf, { limit: 5, cursor: null })).toEqual({ items: [], next: null });
});

test("what comes and goes between two pages neither repeats nor hides another", () => {
  const { next } = pageOf(["a", "b", "c", "d"], keyOf, { limit: 2, cursor: null });
  expect(pageOf(["a", "aa", "c", "d"], keyOf, { limit: 2, cursor: next }).items).toEqual(["c", "d"]);
});

test("a cursor that is none is refused", () => {
  expect(() => pageOf(["a"], keyOf, { limit: 1, cursor: "…" })).toThrow(ApiFailure);
});
