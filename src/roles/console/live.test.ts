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
  test("nothing at first, then what changes, and what is gone", async () => {
    const world = { forwards: [forward("a"), forward("b")], devices: [device("den")] };
    const each = looks(world);
    const next = async (): Promise<LiveEvent[] | undefined> => (await each.next()).value;
    expect(await next()).toEqual([]);
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

  test("what changes after it was ready, before anything was read", async () => {
    const world = { forwards: [forward("a")] };
    const abort = new AbortController();
    const options = { forwards: async () => world.forwards, devices: async () => [], nowMs: () => 7 };
    const events = liveEvents({ ...options, signal: abort.signal, everyMs: 1 });
    await events.ready;
    world.forwards = [forward("b")];
    const told: string[] = [];
    for await (const { event } of events) {
      told.push(event);
      if (told.length === 4) abort.abort();
    }
    expect(told).toEqual(["traffic", "forward", "forward-gone", "traffic"]);
  });

  test("figures, of those alone that have others than the last time", async () => {
    const counted = (id: string, bytesIn: number) => forward(id, { counters: { ...NO_COUNTERS, bytesIn } });
    let forwards = [counted("a", 1), counted("b", 1)];
    const abort = new AbortController();
    const options = { forwards: async () => forwards, devices: async () => [], nowMs: () => 7 };
    const figures: (readonly { readonly id: string; readonly bytesIn: number }[])[] = [];
    for await (const event of liveEvents({ ...options, signal: abort.signal, everyMs: 1 })) {
      if (event.event !== "traffic") throw new Error(`no figures: ${event.event}`);
      figures.push(event.forwards);
      forwards = figures.length === 1 ? [counted("a", 1), counted("b", 3)] : forwards;
      if (figures.length === 3) abort.abort();
    }
    expect(figures).toMatchObject([[], [{ id: "b", bytesIn: 3 }], []]);
  });

  test("a list that cannot be read ends it with the reason", async () => {
    const events = liveEvents({
      forwards: () => Promise.reject(new Error("no disk")),
      devices: async () => [],
      nowMs: () => 7,
      signal: new AbortController().signal,
    });
    await expect(events.ready).rejects.toThrow("no disk");
    await expect(events[Symbol.asyncIterator]().next()).rejects.toThrow("no disk");
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
