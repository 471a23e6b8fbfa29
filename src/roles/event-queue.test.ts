import { describe, expect, test } from "bun:test";
import { EventQueue } from "./event-queue.ts";

async function take<T>(queue: EventQueue<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const event of queue) taken.push(event);
  return taken;
}

describe("an event queue", () => {
  test("keeps events for its reader, in order, also after its end", async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.push(2);
    queue.end();
    queue.push(3);
    expect(await take(queue)).toEqual([1, 2]);
  });

  test("wakes a reader who waits", async () => {
    const queue = new EventQueue<number>();
    const taken = take(queue);
    await Promise.resolve();
    queue.push(1);
    await Promise.resolve();
    queue.push(2);
    queue.end();
    expect(await taken).toEqual([1, 2]);
  });

  test("drops what the next event makes superfluous", async () => {
    const queue = new EventQueue<string>((next, last) => next[0] === last[0]);
    for (const event of ["a1", "a2", "b1", "a3", "a4"]) queue.push(event);
    queue.end();
    expect(await take(queue)).toEqual(["a2", "b1", "a4"]);
  });

  test("keeps the newest of too many", async () => {
    const queue = new EventQueue<number>(undefined, 2);
    for (const event of [1, 2, 3]) queue.push(event);
    queue.end();
    expect(await take(queue)).toEqual([2, 3]);
  });

  test("keeps the newest of those that are too heavy, of which one may weigh more than all", async () => {
    const queue = new EventQueue<string>(undefined, 10, { of: ({ length }) => length, max: 5 });
    const events = queue[Symbol.asyncIterator]();
    for (const event of ["aaa", "bb", "c"]) queue.push(event);
    // What was taken weighs no more.
    expect((await events.next()).value).toBe("bb");
    for (const event of ["dd", "ee"]) queue.push(event);
    expect((await events.next()).value).toBe("c");
    queue.push("0123456789");
    queue.end();
    expect(await take(queue)).toEqual(["0123456789"]);
  });

  test("throws its failure after what came before it", async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.fail(new Error("broken"));
    queue.end();
    const events = queue[Symbol.asyncIterator]();
    expect((await events.next()).value).toBe(1);
    await expect(events.next()).rejects.toThrow("broken");
  });
});
