import { same } from "../../core/same.ts";
import type { Device, Forward, LiveEvent } from "../../servers/api/schema.ts";
import { EventQueue } from "../event-queue.ts";

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
 * those who change it: nothing that changes can be forgotten, and nobody pays while nobody looks.
 */
export async function* liveEvents(options: LiveOptions): AsyncGenerator<LiveEvent> {
  const { signal, everyMs = EVERY_MS } = options;
  const queue = new EventQueue<LiveEvent>((next, last) => next.event === "traffic" && last.event === "traffic");
  const told = { forwards: new Map<string, Forward>(), devices: new Map<string, Device>() };
  let isLooking = false;
  const look = () => {
    // A store that is slow is not asked again before it has answered.
    if (isLooking) return;
    isLooking = true;
    lookOnce(options, told, (event) => queue.push(event))
      .catch((error: unknown) => queue.fail(error))
      .finally(() => {
        isLooking = false;
      });
  };
  const end = () => queue.end();
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  const timer = setInterval(look, everyMs);
  look();
  try {
    yield* queue;
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", end);
  }
}

interface Told {
  readonly forwards: Map<string, Forward>;
  readonly devices: Map<string, Device>;
}

async function lookOnce(options: LiveOptions, told: Told, tell: (event: LiveEvent) => void): Promise<void> {
  const forwards = await options.forwards();
  for (const forward of forwards) {
    const before = told.forwards.get(forward.id);
    if (before === undefined || !same(withoutCounts(before), withoutCounts(forward)))
      tell({ event: "forward", forward });
  }
  for (const id of gone(told.forwards, forwards)) tell({ event: "forward-gone", id });
  const devices = await options.devices();
  for (const device of devices) {
    const before = told.devices.get(device.id);
    if (before === undefined || !same(steady(before), steady(device))) tell({ event: "device", device });
  }
  for (const id of gone(told.devices, devices)) tell({ event: "device-gone", id });
  told.forwards.clear();
  for (const forward of forwards) told.forwards.set(forward.id, forward);
  told.devices.clear();
  for (const device of devices) told.devices.set(device.id, device);
  tell({
    event: "traffic",
    atMs: options.nowMs(),
    visitorsOpen: forwards.reduce((sum, { counters }) => sum + counters.visitorsOpen, 0),
    // What nobody ever came to has nothing to tell.
    forwards: forwards.flatMap(({ id, counters: { visitorsOpen, visitorsTotal, bytesIn, bytesOut } }) =>
      visitorsTotal === 0 ? [] : [{ id, visitorsOpen, visitorsTotal, bytesIn, bytesOut }],
    ),
  });
}

function gone<T extends { readonly id: string }>(before: ReadonlyMap<string, T>, now: readonly T[]): string[] {
  const present = new Set(now.map(({ id }) => id));
  return [...before.keys()].filter((id) => !present.has(id));
}

/** Counters have an event of their own; a lease that runs ends at the same time all along. */
function withoutCounts({ counters: _, ...rest }: Forward): Omit<Forward, "counters"> {
  return rest;
}

/** A round trip is another one each time. */
function steady({ rttMs: _, ...rest }: Device): Omit<Device, "rttMs"> {
  return rest;
}
