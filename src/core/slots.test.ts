import { expect, test } from "bun:test";
import { Slots } from "./slots.ts";

const NEVER = new AbortController().signal;

test("places are given in the order of asking, and given back once", async () => {
  const slots = new Slots(1);
  const order: string[] = [];
  const enter = async (name: string, signal = NEVER) => {
    const leave = await slots.enter(signal);
    order.push(leave === null ? `${name} gave up` : name);
    return leave;
  };
  const first = await enter("a");
  const impatient = new AbortController();
  const waiting = [enter("b", impatient.signal), enter("c"), enter("d")];
  impatient.abort();
  expect(await waiting[0]).toBeNull();
  first?.();
  (await waiting[1])?.();
  (await waiting[2])?.();
  expect(order).toEqual(["a", "b gave up", "c", "d"]);
  // The place is free again, and there is one only.
  expect(await slots.enter(NEVER)).not.toBeNull();
  const late = new AbortController();
  const second = slots.enter(late.signal);
  late.abort();
  expect(await second).toBeNull();
  expect(await slots.enter(AbortSignal.abort())).toBeNull();
});

test("fewer places: who is inside stays, and nobody comes in before they are gone; more: who waits comes in", async () => {
  const slots = new Slots(3);
  const inside = await Promise.all([slots.enter(NEVER), slots.enter(NEVER), slots.enter(NEVER)]);
  slots.resize(1);
  const entered: string[] = [];
  const waiting = ["a", "b", "c"].map(async (name) => {
    const leave = await slots.enter(NEVER);
    entered.push(name);
    return leave;
  });
  inside[0]?.();
  inside[1]?.();
  await Promise.resolve();
  expect(entered).toEqual([]);
  inside[2]?.();
  const leaveA = await waiting[0];
  expect(entered).toEqual(["a"]);
  slots.resize(3);
  const [leaveB, leaveC] = [await waiting[1], await waiting[2]];
  expect(entered).toEqual(["a", "b", "c"]);
  for (const leave of [leaveA, leaveB, leaveC]) leave?.();
  // Three places are free, and not more.
  for (let count = 0; count < 3; count++) expect(await slots.enter(NEVER)).not.toBeNull();
  const late = new AbortController();
  const fourth = slots.enter(late.signal);
  late.abort();
  expect(await fourth).toBeNull();
  expect(slots.count).toBe(3);
});
