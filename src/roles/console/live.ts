import { same } from "../../core/same.ts";
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
 * What changes, for one who looks: what is there is compared with what they were told last. Compared and not reported by
 * those who change it: nothing that changes can be forgotten, and nobody pays while nobody looks. Looked at anew only when
 * all of it was taken: who reads slowly is told what has come of it, and not each step.
 */
export async function* liveEvents(options: LiveOptions): AsyncGenerator<LiveEvent> {
  const { signal, everyMs = EVERY_MS } = options;
  const told: Told = { forwards: new Map(), devices: new Map() };
  while (!signal.aborted) {
    yield* await lookOnce(options, told);
    await pause(everyMs, signal);
  }
}

interface Told {
  forwards: ReadonlyMap<string, Forward>;
  devices: ReadonlyMap<string, Device>;
}

async function lookOnce(options: LiveOptions, told: Told): Promise<LiveEvent[]> {
  const [forwards, devices] = await Promise.all([options.forwards(), options.devices()]);
  const before = { ...told };
  told.forwards = byId(forwards);
  told.devices = byId(devices);
  return [
    ...forwards
      .filter((forward) => isNews(before.forwards.get(forward.id), forward, withoutCounts))
      .map((forward) => ({ event: "forward" as const, forward })),
    ...gone(before.forwards, told.forwards).map((id) => ({ event: "forward-gone" as const, id })),
    ...devices
      .filter((device) => isNews(before.devices.get(device.id), device, steady))
      .map((device) => ({ event: "device" as const, device })),
    ...gone(before.devices, told.devices).map((id) => ({ event: "device-gone" as const, id })),
    {
      event: "traffic",
      atMs: options.nowMs(),
      visitorsOpen: forwards.reduce((sum, { counters }) => sum + counters.visitorsOpen, 0),
      // Of a thousand forwards few carry something in one second.
      forwards: forwards.flatMap(({ id, counters: { visitorsOpen, visitorsTotal, bytesIn, bytesOut } }) => {
        const counted = { visitorsOpen, visitorsTotal, bytesIn, bytesOut };
        const last = before.forwards.get(id)?.counters ?? NO_COUNTERS;
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
