import { expect, test } from "bun:test";
import { RetiredCounters } from "./retired-counters.ts";
import { NO_COUNTERS } from "./views.ts";

test("what is gone stays counted, and what still closes is counted to its end", () => {
  const retired = new RetiredCounters();
  let closing = { ...NO_COUNTERS, visitorsTotal: 2, visitorsOpen: 1, bytesIn: 10 };
  let asked = 0;
  retired.add(() => ({ ...NO_COUNTERS, visitorsTotal: 1, refused: { killed: 1 } }));
  retired.add(() => {
    asked += 1;
    return closing;
  });
  expect(retired.total()).toMatchObject({ visitorsTotal: 3, visitorsOpen: 1, bytesIn: 10, refused: { killed: 1 } });
  closing = { ...closing, visitorsOpen: 0, bytesIn: 15, refused: { shutdown: 1 } };
  for (const _ of [1, 2]) {
    expect(retired.total()).toMatchObject({ visitorsOpen: 0, bytesIn: 15, refused: { killed: 1, shutdown: 1 } });
  }
  expect(asked).toBe(3);
});
