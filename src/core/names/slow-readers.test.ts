import { expect, test } from "bun:test";
import { SlowReaders } from "./slow-readers.ts";

const LIMITS = { stalledMs: 60_000, totalBytes: 100 };
const reader = (name: string, queuedBytes: number) => ({ name, queuedBytes, passedBytes: 0 });
const namesOf = (readers: readonly { readonly name: string }[]) => readers.map(({ name }) => name);

test("who takes nothing for a minute has to go; who takes a little, or waits for nothing, stays", () => {
  const readers = new SlowReaders<ReturnType<typeof reader>>(LIMITS);
  const all = [reader("stalled", 10), reader("slow", 10), reader("idle", 0)];
  const out: [number, string][] = [];
  for (let second = 0; second <= 180; second += 30) {
    if (all[1] !== undefined) all[1].passedBytes += 1;
    for (const name of namesOf(readers.sweep(all, second * 1_000))) out.push([second, name]);
  }
  expect(out[0]).toEqual([60, "stalled"]);
  expect(new Set(out.map(([, name]) => name))).toEqual(new Set(["stalled"]));
});

test("its minute begins anew when it takes something", () => {
  const readers = new SlowReaders<ReturnType<typeof reader>>(LIMITS);
  const one = reader("one", 10);
  const sweepAt = (second: number) => namesOf(readers.sweep([one], second * 1_000));
  expect([sweepAt(0), sweepAt(59)]).toEqual([[], []]);
  one.passedBytes = 5;
  expect([sweepAt(60), sweepAt(119), sweepAt(120)]).toEqual([[], [], ["one"]]);
});

test("when all together hold too much, those with the most go, and no more of them than must", () => {
  const readers = new SlowReaders<ReturnType<typeof reader>>(LIMITS);
  const all = [reader("a", 20), reader("b", 60), reader("c", 45), reader("d", 10)];
  expect(namesOf(readers.sweep(all, 0))).toEqual(["b"]);
  expect(namesOf(readers.sweep([reader("a", 50), reader("b", 50)], 1))).toEqual([]);
});
