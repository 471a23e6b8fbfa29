import { describe, expect, test } from "bun:test";
import type { Device, Forward, LiveEvent } from "../../servers/api/schema.ts";
import { NO_COUNTERS } from "../views.ts";
import { liveEvents } from "./live.ts";

const forward = (id: string, more: Partial<Forward> = {}): Forward =>
  ({ id, name: id, state: "open", leaseEndsMs: null, counters: NO_COUNTERS, ...more }) as Forward;
const device = (id: string, more: Partial<Device> = {}): Device =>
  ({ id, name: id, connected: true, rttMs: 1, ...more }) as Device;

/** The events of one look after another: what is there is changed between them. */
async function* looks(world: { forwards: Forward[]; devices: Device[] }): AsyncGenerator<LiveEvent[]> {
  const abort = new AbortController();
  const events = liveEvents({
    forwards: async () => world.forwards,
    devices: async () => world.devices,
    nowMs: () => 7,
    signal: abort.signal,
    everyMs: 1,
  });
  let seen: LiveEvent[] = [];
  for await (const event of events) {
    if (event.event !== "traffic") seen.push(event);
    else {
      yield seen;
      seen = [];
    }
  }
}

describe("what is told", () => {
  test("everything at first, then what changes, and what is gone", async () => {
    const world = { forwards: [forward("a"), forward("b")], devices: [device("den")] };
    const each = looks(world);
    const next = async (): Promise<LiveEvent[] | undefined> => (await each.next()).value;
    expect((await next())?.map(({ event }) => event)).toEqual(["forward", "forward", "device"]);
    world.forwards = [forward("a", { state: "away" })];
    world.devices = [device("den", { connected: false })];
    let told: LiveEvent[] = [];
    while (told.length === 0) told = (await next()) ?? [];
    expect(told).toMatchObject([
      { event: "forward", forward: { id: "a", state: "away" } },
      { event: "forward-gone", id: "b" },
      { event: "device", device: { connected: false } },
    ]);
    world.forwards = [forward("a", { state: "away", counters: { ...NO_COUNTERS, bytesIn: 5, visitorsTotal: 1 } })];
    world.devices = [device("den", { connected: false, rttMs: 9 })];
    await next();
    expect(await next()).toEqual([]);
    await each.return(undefined);
  });

  test("a list that cannot be read ends it with the reason", async () => {
    const events = liveEvents({
      forwards: () => Promise.reject(new Error("no disk")),
      devices: async () => [],
      nowMs: () => 7,
      signal: new AbortController().signal,
    });
    expect(events.next()).rejects.toThrow("no disk");
  });

  test("it ends when nobody looks any more", async () => {
    const abort = new AbortController();
    abort.abort();
    const all: LiveEvent[] = [];
    const options = { forwards: async () => [], devices: async () => [], nowMs: () => 7, signal: abort.signal };
    for await (const event of liveEvents(options)) all.push(event);
    expect(all).toEqual([]);
  });
});
