import { same } from "../../core/same.ts";
import type { Following } from "../../servers/api/event-stream.ts";
import type { Device, Forward, LiveEvent } from "../../servers/api/schema.ts";
import { pause } from "../pause.ts";
import { NO_COUNTERS } from "../views.ts";

export interface LiveOptions {
  forwards(): Promise<readonly Forward[]>;
  devices(): Promise<readonly Device[]>;
  nowMs(): number;
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;

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
}

async function lookAt(options: LiveOptions): Promise<Look> {
  const [forwards, devices] = await Promise.all([options.forwards(), options.devices()]);
  return { forwards: byId(forwards), devices: byId(devices) };
}

async function* changesSince(first: Promise<Look>, options: LiveOptions): AsyncGenerator<LiveEvent> {
  const { signal, nowMs, everyMs = EVERY_MS } = options;
  let told = await first;
  let now = told;
  while (!signal.aborted) {
    yield* changes(told, now, nowMs());
    told = now;
    await pause(everyMs, signal);
    if (!signal.aborted) now = await lookAt(options);
  }
}

function changes(told: Look, now: Look, atMs: number): LiveEvent[] {
  const forwards = [...now.forwards.values()];
  return [
    ...forwards
      .filter((forward) => isNews(told.forwards.get(forward.id), forward, withoutCounts))
      .map((forward) => ({ event: "forward" as const, forward })),
    ...gone(told.forwards, now.forwards).map((id) => ({ event: "forward-gone" as const, id })),
    ...[...now.devices.values()]
      .filter((device) => isNews(told.devices.get(device.id), device, steady))
      .map((device) => ({ event: "device" as const, device })),
    ...gone(told.devices, now.devices).map((id) => ({ event: "device-gone" as const, id })),
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

/** Counters have an event of their own; a lease that runs ends at the same time all along. */
function withoutCounts({ counters: _, ...rest }: Forward): Omit<Forward, "counters"> {
  return rest;
}

/** A round trip is another one each time. */
function steady({ rttMs: _, ...rest }: Device): Omit<Device, "rttMs"> {
  return rest;
}
