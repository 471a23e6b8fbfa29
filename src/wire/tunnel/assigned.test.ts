import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import { AssignedList, assignedParts } from "./assigned.ts";
import { type AssignedForward, decodeControl, encodeControl } from "./control.ts";
import { MAX_PAYLOAD } from "./frame.ts";

function forward(id: string, ranges = 1): AssignedForward {
  const ports = Array.from({ length: ranges }, (_, at) => ({
    protocol: "tcp" as const,
    first: 1000 + 2 * at,
    last: 1000 + 2 * at,
    internalFirst: 80,
  }));
  const spec = { id, name: id, group: null, ports, options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: null };
  return { spec, to: "127.0.0.1" };
}

describe("the list in parts", () => {
  test.each([
    ["nothing", [], 1],
    ["one", [forward("a")], 1],
    ["as many as a part holds, and more", Array.from({ length: 2_000 }, (_, at) => forward(`relay/${at}`)), 6],
    ["some that fill a part each", [forward("a", 1_000), forward("b", 1_000), forward("c", 1_000)], 2],
  ])("%s", (_name, forwards, count) => {
    const parts = assignedParts(forwards);
    expect(parts.length).toBeGreaterThanOrEqual(count);
    expect(parts.map(({ part, last }) => [part, last])).toEqual(parts.map((_, at) => [at, at === parts.length - 1]));
    const list = new AssignedList();
    const ends = parts.map((part) => {
      const bytes = encodeControl(part);
      expect(bytes.length).toBeLessThan(MAX_PAYLOAD);
      const decoded = decodeControl(bytes);
      if (!decoded.ok || decoded.value.t !== "assigned") throw new Error("not a message");
      return list.add(decoded.value);
    });
    expect(ends.slice(0, -1).every((end) => end === null)).toBe(true);
    expect(ends.at(-1)).toEqual(forwards);
  });

  test("a part 0 begins anew; one out of turn is wrong", () => {
    const list = new AssignedList();
    expect(list.add({ t: "assigned", part: 0, last: false, forwards: [forward("a")] })).toBeNull();
    expect(list.add({ t: "assigned", part: 0, last: true, forwards: [forward("b")] })).toEqual([forward("b")]);
    expect(list.add({ t: "assigned", part: 1, last: true, forwards: [] })).toBe("wrong");
    expect(list.add({ t: "assigned", part: 0, last: false, forwards: [] })).toBeNull();
    expect(list.add({ t: "assigned", part: 2, last: true, forwards: [] })).toBe("wrong");
  });

  test("whatever comes, no more than a relay can have assigned is held", () => {
    const many = Array.from({ length: 1_000 }, (_, at) => forward(`${at}`));
    const list = new AssignedList();
    const held = Array.from({ length: 30 }, (_, part) =>
      list.add({ t: "assigned", part, last: false, forwards: many }),
    );
    expect(held.indexOf("wrong")).toBe(20);
  });

  test("any split of a list is the list", () => {
    const parts = fc.array(fc.array(fc.string({ minLength: 1, maxLength: 9 }), { maxLength: 4 }), { minLength: 1 });
    fc.assert(
      fc.property(parts, (ids) => {
        const list = new AssignedList();
        const ends = ids.map((part, at) =>
          list.add({ t: "assigned", part: at, last: at === ids.length - 1, forwards: part.map((id) => forward(id)) }),
        );
        expect(ends.at(-1)).toEqual(ids.flat().map((id) => forward(id)));
      }),
      { seed: 5, numRuns: 100 },
    );
  });
});
