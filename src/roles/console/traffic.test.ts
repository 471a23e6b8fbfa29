import { expect, test } from "bun:test";
import type { HeldForward } from "../../core/held.ts";
import type { Carried } from "../../store/traffic.ts";
import type { Counters } from "../control.ts";
import { NO_COUNTERS } from "../views.ts";
import { TrafficRecorder } from "./traffic.ts";

function recorder() {
  const world = {
    counts: new Map<string, Partial<Counters>>(),
    stored: [] as Carried[][],
    warned: [] as string[],
    condensed: 0,
    isBroken: false,
  };
  const held = (id: string) => ({ owner: { account: "owner", device: "d1" }, spec: { id, name: id } }) as HeldForward;
  const recording = new TrafficRecorder({
    traffic: {
      async add(carried) {
        if (world.isBroken) throw new Error("the disk is full");
        world.stored.push([...carried]);
      },
      list: () => Promise.reject(new Error("not asked")),
      async condense() {
        world.condensed++;
      },
    },
    forwards: () => [...world.counts.keys()].map(held),
    countersOf: ({ spec }) => {
      const counts = world.counts.get(spec.id);
      return counts === undefined ? null : { ...NO_COUNTERS, ...counts };
    },
    deviceName: () => "den",
    wallMs: () => 5,
    warn: (message) => world.warned.push(message),
  });
  return { world, recording };
}

test("what came since is stored, and nothing of forwards that carried nothing", async () => {
  const { world, recording } = recorder();
  world.counts.set("web", { bytesIn: 10, bytesOut: 20, visitorsTotal: 1 });
  world.counts.set("ssh", {});
  await recording.record();
  world.counts.set("web", { bytesIn: 15, bytesOut: 20, visitorsTotal: 1 });
  await recording.record();
  await recording.record();
  expect(world.stored).toEqual([
    [
      {
        deviceId: "d1",
        specId: "web",
        accountId: "owner",
        deviceName: "den",
        name: "web",
        bytesIn: 10,
        bytesOut: 20,
        visitors: 1,
      },
    ],
    [
      {
        deviceId: "d1",
        specId: "web",
        accountId: "owner",
        deviceName: "den",
        name: "web",
        bytesIn: 5,
        bytesOut: 0,
        visitors: 0,
      },
    ],
  ]);
});

test("an entry that was opened again counts from zero", async () => {
  const { world, recording } = recorder();
  world.counts.set("web", { bytesIn: 10, bytesOut: 0, visitorsTotal: 3 });
  await recording.record();
  world.counts.set("web", { bytesIn: 4, bytesOut: 0, visitorsTotal: 1 });
  await recording.record();
  expect(world.stored.flat().map(({ bytesIn, visitors }) => [bytesIn, visitors])).toEqual([
    [10, 3],
    [4, 1],
  ]);
});

test("a disk that takes nothing is told, and the next minute is stored", async () => {
  const { world, recording } = recorder();
  world.isBroken = true;
  world.counts.set("web", { bytesIn: 10 });
  await recording.record();
  world.isBroken = false;
  world.counts.set("web", { bytesIn: 12 });
  await recording.record();
  expect(world.warned).toEqual(["traffic could not be stored: the disk is full"]);
  expect(world.stored.flat().map(({ bytesIn }) => bytesIn)).toEqual([2]);
});

test("it is driven once a minute, and condenses four times a day", async () => {
  const { world, recording } = recorder();
  let nowMs = 0;
  for (let minute = 0; minute < 8 * 60; minute++, nowMs += 60_000) {
    world.counts.set("web", { bytesIn: minute + 1 });
    recording.sweep(nowMs);
    recording.sweep(nowMs + 1_000);
  }
  await recording.record();
  expect(world.stored.length).toBe(8 * 60);
  expect(world.condensed).toBe(2);
});
