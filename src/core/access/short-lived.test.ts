import { expect, test } from "bun:test";
import { ShortLived } from "./short-lived.ts";

const LIMITS = { lifetimeMs: 100, most: 4, mostPerOwner: 2 };

test("is taken once, in its time", () => {
  const entries = new ShortLived<string>(LIMITS);
  entries.put("a", "o", "one", 0);
  entries.put("b", "o", "two", 0);
  expect(entries.peek("a", 99)).toBe("one");
  expect(entries.take("a", 99)).toBe("one");
  expect(entries.take("a", 99)).toBeNull();
  expect(entries.peek("b", 100)).toBeNull();
  expect(entries.take("b", 100)).toBeNull();
  expect(entries.take("never", 0)).toBeNull();
});

test("who asks for many loses their own oldest; nobody else's", () => {
  const entries = new ShortLived<string>(LIMITS);
  entries.put("honest", "other", "kept", 0);
  for (let at = 0; at < 50; at++) entries.put(`flood-${at}`, "one", "x", 1);
  expect(entries.size).toBe(3);
  expect(entries.take("honest", 2)).toBe("kept");
  expect(entries.take("flood-47", 2)).toBeNull();
  expect(entries.take("flood-48", 2)).toBe("x");
});

test("many owners are bounded too, and what is over makes room", () => {
  const entries = new ShortLived<number>(LIMITS);
  for (let at = 0; at < 50; at++) entries.put(`${at}`, `owner-${at}`, at, 0);
  expect(entries.size).toBe(4);
  entries.put("late", "late", 1, 200);
  expect(entries.size).toBe(1);
});
