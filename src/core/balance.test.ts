import { expect, test } from "bun:test";
import { Balancer } from "./balance.ts";

function balancer(...devices: string[]): Balancer {
  const made = new Balancer();
  for (const device of devices) made.add(device);
  return made;
}

const picks = (from: Balancer, times: number): (string | null)[] => Array.from({ length: times }, () => from.pick());

test("nobody", () => expect(new Balancer().pick()).toBeNull());

test("equals take turns", () => {
  expect(picks(balancer("a", "b", "c"), 7)).toEqual(["a", "b", "c", "a", "b", "c", "a"]);
});

test("the least loaded comes first", () => {
  const group = balancer("a", "b");
  group.opened("a");
  expect(picks(group, 3)).toEqual(["b", "b", "b"]);
  group.opened("b");
  group.opened("b");
  expect(group.pick()).toBe("a");
  group.closed("b");
  group.closed("b");
  expect(group.pick()).toBe("b");
});

test("an unusable or skipped device is not picked, and comes back with its count", () => {
  const group = balancer("a", "b");
  group.setUsable("a", false);
  expect(picks(group, 2)).toEqual(["b", "b"]);
  expect(group.pick(new Set(["b"]))).toBeNull();
  group.opened("a");
  group.setUsable("a", true);
  expect(group.pick()).toBe("b");
});

test("adding twice keeps the count; removing forgets it; strangers are ignored", () => {
  const group = balancer("a", "b");
  group.opened("a");
  group.add("a");
  expect(group.pick()).toBe("b");
  group.remove("b");
  expect(group.size).toBe(1);
  group.closed("stranger");
  group.opened("stranger");
  group.setUsable("stranger", true);
  group.closed("a");
  group.closed("a");
  expect(group.pick()).toBe("a");
});
