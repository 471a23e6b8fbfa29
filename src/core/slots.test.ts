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
