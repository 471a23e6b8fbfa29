import { expect, test } from "bun:test";
import { exampleEvent } from "./events.fixture.ts";
import { HookQueue } from "./hook-queue.ts";

test("a full queue drops the oldest, and the next event taken tells how many", () => {
  const queue = new HookQueue(2);
  const events = Array.from({ length: 5 }, () => exampleEvent());
  expect(events.map((event) => queue.push(event))).toEqual([false, false, true, true, true]);
  expect(queue.size).toBe(2);
  const taken = [queue.take(), queue.take(), queue.take()];
  expect(taken.map((one) => one?.missed ?? null)).toEqual([3, 0, null]);
  expect(taken[0]?.event).toBe(events[3] as (typeof events)[number]);
  expect(taken[1]?.event).toBe(events[4] as (typeof events)[number]);
});

test("an event that is given up counts as missed, with those before it", () => {
  const queue = new HookQueue(1);
  queue.push(exampleEvent());
  queue.push(exampleEvent());
  const first = queue.take();
  expect(first?.missed).toBe(1);
  if (first !== null) queue.givenUp(first);
  queue.push(exampleEvent());
  expect(queue.take()?.missed).toBe(2);
  queue.push(exampleEvent());
  expect(queue.take()?.missed).toBe(0);
});
