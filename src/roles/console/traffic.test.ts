import { expect, test } from "bun:test";
import type { HeldForward } from "../../core/held.ts";
import type { Carried } from "../../store/traffic.ts";
import { TrafficRecorder } from "./traffic.ts";

const NOTHING = { bytesIn: 0, bytesOut: 0, visitorsTotal: 0 };

function recorder() {
  const world = {
    counts: new Map<string, { bytesIn: number; bytesOut: number; visitorsTotal: number }>(),
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
      slots: () => Promise.reject(new Error("not asked")),
      forwards: () => Promise.reject(new Error("not asked")),
      async condense() {
        world.condensed++;
      },
    },
    forwards: () => [...world.counts.keys()].map(held),
    countersOf: ({ spec }) => world.counts.get(spec.id) ?? null,
    deviceName: () => "den",
    wallMs: () => 5,
    warn: (message) => world.warned.push(message),
  });
  return { world, recording };
}

test("what came since is stored, and nothing of forwards that carried nothing", async () => {
  const { world, recording } = recorder();
  const web = { bytesIn: 10, bytesOut: 20, visitorsTotal: 1 };
  world.counts.set("web", web);
  world.counts.set("ssh", { ...NOTHING });
  await recording.record();
  web.bytesIn = 15;
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

test("the members of a group, which have one entry, are told once", async () => {
  const { world, recording } = recorder();
  const shared = { bytesIn: 10, bytesOut: 0, visitorsTotal: 1 };
  world.counts.set("one", shared);
  world.counts.set("two", shared);
  await recording.record();
  world.counts.delete("one");
  shared.bytesIn = 12;
  await recording.record();
  expect(world.stored.flat().map(({ specId, bytesIn }) => [specId, bytesIn])).toEqual([
    ["one", 10],
    ["two", 2],
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
  const web = { ...NOTHING, bytesIn: 10 };
  world.counts.set("web", web);
  await recording.record();
  world.isBroken = false;
  web.bytesIn = 12;
  await recording.record();
  expect(world.warned).toEqual(["traffic could not be stored: the disk is full"]);
  expect(world.stored.flat().map(({ bytesIn }) => bytesIn)).toEqual([2]);
});

test("it is driven once a minute, and condenses four times a day", async () => {
  const { world, recording } = recorder();
  const web = { ...NOTHING };
  world.counts.set("web", web);
  let nowMs = 0;
  for (let minute = 0; minute < 8 * 60; minute++, nowMs += 60_000) {
    web.bytesIn++;
    recording.sweep(nowMs);
    recording.sweep(nowMs + 1_000);
  }
  await recording.record();
  expect(world.stored.length).toBe(8 * 60);
  expect(world.condensed).toBe(2);
});
