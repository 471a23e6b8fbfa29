import { expect, test } from "bun:test";
import { exampleEvent } from "./events.fixture.ts";
import { HookQueue } from "./hook-queue.ts";

test("a full queue drops the oldest, and the next event taken tells how many", () => {
  const queue = new HookQueue(2);
  const events = Array.from({ length: 5 }, () => exampleEvent());
  for (const event of events) queue.push(event);
  expect(queue.size).toBe(2);
  const taken = [queue.take(), queue.take(), queue.take()];
  expect(taken.map((one) => one?.missed ?? null)).toEqual([3, 0, null]);
  expect(taken[0]?.event).toBe(events[3] as (typeof events)[number]);
  expect(taken[1]?.event).toBe(events[4] as (typeof events)[number]);
});
