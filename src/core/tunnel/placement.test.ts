import { describe, expect, test } from "bun:test";
import { LaneChooser, leastLoaded } from "./placement.ts";

const KIB = 1024;

describe("LaneChooser", () => {
  const table: readonly (readonly [string, readonly (readonly [bytes: number, nowMs: number])[], string])[] = [
    [
      "keystrokes stay light",
      [
        [1, 0],
        [1, 50],
        [80, 100],
        [1, 900],
      ],
      "light",
    ],
    [
      "a page within a burst stays light",
      [
        [64 * KIB, 0],
        [64 * KIB, 90],
      ],
      "light",
    ],
    [
      "more than 128 KiB within 100 ms is bulk",
      [
        [64 * KIB, 0],
        [64 * KIB, 50],
        [1, 100],
      ],
      "bulk",
    ],
    [
      "the same over a longer time is light",
      [
        [100 * KIB, 0],
        [100 * KIB, 101],
        [100 * KIB, 202],
      ],
      "light",
    ],
    ["one large write is bulk at once", [[129 * KIB, 0]], "bulk"],
    [
      "bulk stays bulk while it flows",
      [
        [129 * KIB, 0],
        [40 * KIB, 900],
        [1, 1001],
        [1, 1500],
      ],
      "bulk",
    ],
    [
      "a calm second turns it light",
      [
        [129 * KIB, 0],
        [1 * KIB, 500],
        [1, 1001],
      ],
      "light",
    ],
    [
      "silence turns it light",
      [
        [129 * KIB, 0],
        [1, 60_000],
      ],
      "light",
    ],
    [
      "a large write after silence is bulk once it burst",
      [
        [129 * KIB, 0],
        [1, 60_000],
        [200 * KIB, 60_001],
      ],
      "bulk",
    ],
  ];
  for (const [name, writes, lane] of table) {
    test(name, () => {
      const chooser = new LaneChooser(0);
      expect(writes.map(([bytes, nowMs]) => chooser.next(bytes, nowMs)).at(-1)).toBe(lane as "light");
    });
  }

  test("changes lanes at most about once a second", () => {
    const chooser = new LaneChooser(0);
    let changes = 0;
    let lane = "light";
    for (let nowMs = 0; nowMs < 60_000; nowMs += 10) {
      const next = chooser.next(nowMs % 300 < 50 ? 64 * KIB : 10, nowMs);
      if (next !== lane) changes++;
      lane = next;
    }
    expect(changes).toBeLessThanOrEqual(60);
  });
});

describe("leastLoaded", () => {
  const table: readonly (readonly [readonly number[], number])[] = [
    [[5], 0],
    [[0, 0], 0],
    [[2, 1], 1],
    [[3, 1, 1, 2], 1],
    [[3, 2, 1, 0], 3],
  ];
  for (const [loads, expected] of table) {
    test(`${loads.join(", ")} → ${expected}`, () => {
      const carriers = loads.map((load) => ({ load }));
      expect(carriers.indexOf(leastLoaded(carriers))).toBe(expected);
    });
  }
});
