import { same } from "../../core/same.ts";
import type { Following } from "../../servers/api/event-stream.ts";
import type { Device, Forward, LiveEvent, Trigger, VpnPeer } from "../../servers/api/schema.ts";
import { pause } from "../pause.ts";
import { NO_COUNTERS } from "../views.ts";
import { inTurns } from "./turns.ts";

export interface LiveOptions {
  forwards(): Promise<readonly Forward[]>;
  devices(): Promise<readonly Device[]>;
  /** A gateway's. */
  peers?(): Promise<readonly VpnPeer[]>;
  triggers?(): Promise<readonly Trigger[]>;
  nowMs(): number;
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;
/** An end is reckoned anew at each look, by clocks that do not tick together; the kernel tells a trigger's in whole seconds. */
const SAME_END_MS = 2_000;

/**
 * What changes from now on, for one who looks: what is there is compared with what they were told last. Compared and not
 * reported by those who change it: nothing that changes can be forgotten, and nobody pays while nobody looks. Looked at
 * anew only when all of it was taken: who reads slowly is told what has come of it, and not each step.
 */
export function liveEvents(options: LiveOptions): Following<LiveEvent> {
  const first = lookAt(options);
  const ready = first.then(() => undefined);
  // Whoever reads the events is told as well.
  ready.catch(() => undefined);
  return { ready, [Symbol.asyncIterator]: () => changesSince(first, options) };
}

/** What there is, by id. */
interface Look {
  readonly forwards: ReadonlyMap<string, Forward>;
  readonly devices: ReadonlyMap<string, Device>;
  readonly peers: ReadonlyMap<string, VpnPeer>;
  readonly triggers: ReadonlyMap<string, Trigger>;
}

async function lookAt(options: LiveOptions): Promise<Look> {
  const [forwards, devices, peers, triggers] = await Promise.all([
    options.forwards(),
    options.devices(),
    options.peers?.() ?? [],
    options.triggers?.() ?? [],
  ]);
  return { forwards: byId(forwards), devices: byId(devices), peers: byId(peers), triggers: byId(triggers) };
}

async function* changesSince(first: Promise<Look>, options: LiveOptions): AsyncGenerator<LiveEvent> {
  const { signal, nowMs, everyMs = EVERY_MS } = options;
  let told = await first;
  let now = told;
  while (!signal.aborted) {
    yield* await changes(told, now, nowMs());
    told = now;
    await pause(everyMs, signal);
    if (!signal.aborted) now = await withSteadyEnds(told, await lookAt(options));
  }
}

/**
 * An end that is about the same is the one that was told; steps that add up are told. A lease that runs ends at the same time
 * all along.
 */
async function withSteadyEnds(told: Look, now: Look): Promise<Look> {
  return {
    ...now,
    forwards: await mapped(now.forwards, (one) => {
      const before = told.forwards.get(one.id)?.leaseEndsMs ?? null;
      return isSameEnd(before, one.leaseEndsMs) ? { ...one, leaseEndsMs: before } : one;
    }),
    triggers: await mapped(now.triggers, (one) => {
      const before = told.triggers.get(one.id)?.closesMs ?? null;
      return isSameEnd(before, one.closesMs) ? { ...one, closesMs: before } : one;
    }),
  };
}

function isSameEnd(before: number | null, now: number | null): boolean {
  return before !== null && now !== null && before !== now && Math.abs(before - now) < SAME_END_MS;
}

async function mapped<T>(items: ReadonlyMap<string, T>, of: (item: T) => T): Promise<ReadonlyMap<string, T>> {
  return new Map(await inTurns(items, ([id, item]) => [id, of(item)] as const));
}

async function changes(told: Look, now: Look, atMs: number): Promise<LiveEvent[]> {
  const forwards = [...now.forwards.values()];
  const news = await inTurns(forwards, (forward) =>
    isNews(told.forwards.get(forward.id), forward, withoutCounts) ? [{ event: "forward" as const, forward }] : [],
  );
  return [
    ...news.flat(),
    ...gone(told.forwards, now.forwards).map((id) => ({ event: "forward-gone" as const, id })),
    ...[...now.devices.values()]
      .filter((device) => isNews(told.devices.get(device.id), device, steady))
      .map((device) => ({ event: "device" as const, device })),
    ...gone(told.devices, now.devices).map((id) => ({ event: "device-gone" as const, id })),
    ...[...now.peers.values()]
      .filter((peer) => isNews(told.peers.get(peer.id), peer, withoutBytes))
      .map((peer) => ({ event: "vpn-peer" as const, peer })),
    ...gone(told.peers, now.peers).map((id) => ({ event: "vpn-peer-gone" as const, id })),
    ...[...now.triggers.values()]
      .filter((trigger) => isNews(told.triggers.get(trigger.id), trigger, (one) => one))
      .map((trigger) => ({ event: "trigger" as const, trigger })),
    ...gone(told.triggers, now.triggers).map((id) => ({ event: "trigger-gone" as const, id })),
    {
      event: "traffic",
      atMs,
      visitorsOpen: forwards.reduce((sum, { counters }) => sum + counters.visitorsOpen, 0),
      // Of a thousand forwards few carry something in one second.
      forwards: forwards.flatMap(({ id, counters: { visitorsOpen, visitorsTotal, bytesIn, bytesOut } }) => {
        const counted = { visitorsOpen, visitorsTotal, bytesIn, bytesOut };
        const last = told.forwards.get(id)?.counters ?? NO_COUNTERS;
        return isCounted(last, counted) ? [] : [{ id, ...counted }];
      }),
    },
  ];
}

type Counted = Pick<Forward["counters"], "visitorsOpen" | "visitorsTotal" | "bytesIn" | "bytesOut">;

function isCounted(last: Counted, now: Counted): boolean {
  return (
    last.visitorsOpen === now.visitorsOpen &&
    last.visitorsTotal === now.visitorsTotal &&
    last.bytesIn === now.bytesIn &&
    last.bytesOut === now.bytesOut
  );
}

function isNews<T>(before: T | undefined, now: T, of: (value: T) => unknown): boolean {
  return before === undefined || !same(of(before), of(now));
}

function byId<T extends { readonly id: string }>(items: readonly T[]): ReadonlyMap<string, T> {
  return new Map(items.map((item) => [item.id, item]));
}

function gone(before: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): string[] {
  return [...before.keys()].filter((id) => !now.has(id));
}

/** Counters have an event of their own. */
function withoutCounts({ counters: _, ...rest }: Forward): Omit<Forward, "counters"> {
  return rest;
}

/** A round trip is another one each time. */
function steady({ rttMs: _, ...rest }: Device): Omit<Device, "rttMs"> {
  return rest;
}

/** What a peer carries says each time that it does. */
function withoutBytes({
  receivedBytes: _,
  sentBytes: __,
  ...rest
}: VpnPeer): Omit<VpnPeer, "receivedBytes" | "sentBytes"> {
  return rest;
}
