import { expect, test } from "bun:test";
import fc from "fast-check";
import { ByteQueue } from "./byte-queue.ts";

test("what goes in comes out, in order, however it is cut", () => {
  const piece = fc.uint8Array({ maxLength: 40_000 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.integer({ min: 1, max: 30_000 }), (pieces, most) => {
      const queue = new ByteQueue();
      for (const bytes of pieces) queue.push(bytes);
      const whole = Buffer.concat(pieces);
      expect(queue.length).toBe(whole.length);
      const taken: Uint8Array[] = [];
      for (let bytes = queue.peek(); bytes !== null; bytes = queue.peek()) {
        const part = bytes.slice(0, most);
        taken.push(part);
        queue.consume(part.length);
      }
      expect(Buffer.concat(taken).equals(whole)).toBe(true);
      expect(queue.length).toBe(0);
    }),
    { numRuns: 50, seed: 1 },
  );
});

test("keeps a copy", () => {
  const queue = new ByteQueue();
  const bytes = Uint8Array.of(1, 2, 3);
  queue.push(bytes);
  bytes.fill(9);
  expect([...(queue.peek() ?? [])]).toEqual([1, 2, 3]);
});

test("clear() empties it", () => {
  const queue = new ByteQueue();
  queue.push(Uint8Array.of(1));
  queue.clear();
  queue.consume(1);
  expect([queue.length, queue.peek()]).toEqual([0, null]);
});
