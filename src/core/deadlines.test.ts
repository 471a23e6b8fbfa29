import { expect, test } from "bun:test";
import fc from "fast-check";
import { Deadlines } from "./deadlines.ts";

test("an empty set has no deadline", () => {
  const deadlines = new Deadlines<string>();
  expect(deadlines.nextMs()).toBeNull();
  expect(deadlines.first()).toBeUndefined();
  expect(deadlines.takeDue(Number.MAX_SAFE_INTEGER)).toEqual([]);
  deadlines.clear("nobody");
  expect(deadlines.size).toBe(0);
});

test("takes what is due, earliest first, and leaves the rest", () => {
  const deadlines = new Deadlines<string>();
  deadlines.set("late", 300);
  deadlines.set("early", 100);
  deadlines.set("middle", 200);
  deadlines.set("late", 150);
  expect(deadlines.get("late")).toBe(150);
  expect(deadlines.first()).toBe("early");
  expect(deadlines.takeDue(150)).toEqual(["early", "late"]);
  expect(deadlines.get("late")).toBeNull();
  expect(deadlines.nextMs()).toBe(200);
});

test("agrees with a plain map, whatever the order of calls", () => {
  const key = fc.integer({ min: 0, max: 12 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("set" as const), key, atMs: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ kind: fc.constant("clear" as const), key, atMs: fc.constant(0) }),
    fc.record({ kind: fc.constant("take" as const), key, atMs: fc.integer({ min: 0, max: 50 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const deadlines = new Deadlines<number>();
      const model = new Map<number, number>();
      for (const { kind, key, atMs } of steps) {
        if (kind === "set") {
          deadlines.set(key, atMs);
          model.set(key, atMs);
        } else if (kind === "clear") {
          deadlines.clear(key);
          model.delete(key);
        } else {
          const due = deadlines.takeDue(atMs);
          const expected = [...model].filter(([, at]) => at <= atMs);
          expect(due.map((k) => model.get(k) as number)).toEqual(expected.map(([, at]) => at).sort((a, b) => a - b));
          expect([...due].sort()).toEqual(expected.map(([k]) => k).sort());
          for (const taken of due) model.delete(taken);
        }
        expect(deadlines.size).toBe(model.size);
        expect(deadlines.nextMs()).toBe(model.size === 0 ? null : Math.min(...model.values()));
      }
    }),
  );
});
