import { same } from "../../core/same.ts";
import type { Device, Forward, LiveEvent, Trigger, VpnPeer } from "../../servers/api/schema.ts";
import { EventQueue } from "../event-queue.ts";

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
 * What changes, for one who looks: what is there is compared with what they were told last. Compared and not reported by
 * those who change it: nothing that changes can be forgotten, and nobody pays while nobody looks.
 */
export async function* liveEvents(options: LiveOptions): AsyncGenerator<LiveEvent> {
  const { signal, everyMs = EVERY_MS } = options;
  const queue = new EventQueue<LiveEvent>((next, last) => next.event === "traffic" && last.event === "traffic");
  const told: Told = {
    forwards: new ToldList(sameForward),
    devices: new ToldList(sameDevice),
    peers: new ToldList(samePeer),
    triggers: new ToldList(sameTrigger),
  };
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
  readonly forwards: ToldList<Forward>;
  readonly devices: ToldList<Device>;
  readonly peers: ToldList<VpnPeer>;
  readonly triggers: ToldList<Trigger>;
}

/** What was told last of each, which may be long ago: small steps add up to one that is told. */
class ToldList<T extends { readonly id: string }> {
  readonly #told = new Map<string, T>();
  readonly #isSame: (before: T, now: T) => boolean;

  constructor(isSame: (before: T, now: T) => boolean) {
    this.#isSame = isSame;
  }

  follow(now: readonly T[], tell: (changed: T) => void, tellGone: (id: string) => void): void {
    for (const one of now) {
      const before = this.#told.get(one.id);
      if (before !== undefined && this.#isSame(before, one)) continue;
      this.#told.set(one.id, one);
      tell(one);
    }
    const present = new Set(now.map(({ id }) => id));
    for (const id of [...this.#told.keys()].filter((one) => !present.has(one))) {
      this.#told.delete(id);
      tellGone(id);
    }
  }
}

async function lookOnce(options: LiveOptions, told: Told, tell: (event: LiveEvent) => void): Promise<void> {
  const forwards = await options.forwards();
  told.forwards.follow(
    forwards,
    (forward) => tell({ event: "forward", forward }),
    (id) => tell({ event: "forward-gone", id }),
  );
  told.devices.follow(
    await options.devices(),
    (device) => tell({ event: "device", device }),
    (id) => tell({ event: "device-gone", id }),
  );
  told.peers.follow(
    (await options.peers?.()) ?? [],
    (peer) => tell({ event: "vpn-peer", peer }),
    (id) => tell({ event: "vpn-peer-gone", id }),
  );
  told.triggers.follow(
    (await options.triggers?.()) ?? [],
    (trigger) => tell({ event: "trigger", trigger }),
    (id) => tell({ event: "trigger-gone", id }),
  );
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

/** Counters have an event of their own. */
function sameForward(
  { counters: _, leaseEndsMs: endBefore, ...before }: Forward,
  { counters: __, leaseEndsMs: end, ...now }: Forward,
): boolean {
  return sameEnd(endBefore, end) && same(before, now);
}

/** A round trip is another one each time. */
function sameDevice({ rttMs: _, ...before }: Device, { rttMs: __, ...now }: Device): boolean {
  return same(before, now);
}

/** What it carries says each time that it does. */
function samePeer(
  { receivedBytes: _, sentBytes: __, ...before }: VpnPeer,
  { receivedBytes: ___, sentBytes: ____, ...now }: VpnPeer,
): boolean {
  return same(before, now);
}

function sameTrigger({ closesMs: endBefore, ...before }: Trigger, { closesMs: end, ...now }: Trigger): boolean {
  return sameEnd(endBefore, end) && same(before, now);
}

function sameEnd(a: number | null, b: number | null): boolean {
  return a === null || b === null ? a === b : Math.abs(a - b) < SAME_END_MS;
}
