import { expect, test } from "bun:test";
import { Reason, reasonName } from "./reason.ts";

test("codes are unique, fit a byte and read back as their names", () => {
  const entries = Object.entries(Reason);
  expect(new Set(entries.map(([, code]) => code)).size).toBe(entries.length);
  for (const [name, code] of entries) {
    expect(code).toBeWithin(1, 256);
    expect(reasonName(code) as string).toBe(name);
  }
});

test("a code from a newer peer reads as reset", () => {
  expect([reasonName(0), reasonName(255)]).toEqual(["reset", "reset"]);
});
