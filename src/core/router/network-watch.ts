import type { Network } from "./gateways.ts";

/** Routes and addresses are looked at so often. */
export const LOOK_MS = 5_000;
/** The clocks are compared so often: how soon the end of a sleep is noticed. */
export const TICK_MS = 1_000;
/** A tick that comes so much too late was held up by a sleep: no load of ours takes so long. */
const LATE_MS = 10_000;
/** Between the two clocks: NTP moves a clock by less without a step (it slews up to 0.128 s). */
const JUMP_MS = 2_000;

/** What changed. `sleptMs`: the machine's monotonic clock stood still for so long; 0 where that clock goes on in sleep. */
export type NetworkNews =
  | { readonly why: "changed"; readonly network: Network }
  | { readonly why: "woke"; readonly network: Network; readonly sleptMs: number };

export interface Clocks {
  /** Monotonic. */
  readonly nowMs: number;
  /** Of day. */
  readonly wallMs: number;
}

export type WatchAction = { readonly kind: "look" } | { readonly kind: "tell"; readonly news: NetworkNews };

/**
 * When to look at the network, and what of it is news. Feed it the time each TICK_MS, and what was seen after each `look`;
 * one look at a time.
 */
export class NetworkWatch {
  #seen: string;
  #clocks: Clocks;
  #lookedMs: number;
  readonly #lookEveryMs: number;
  #addresses: string;
  #looking = false;
  /** A sleep ended, and no look since. */
  #sleptMs: number | null = null;

  /** `lookEveryMs`: longer where a look starts programs; another address is a reason to look at once, then too. */
  constructor(network: Network, addresses: string, clocks: Clocks, lookEveryMs = LOOK_MS) {
    this.#seen = textOf(network);
    this.#addresses = addresses;
    this.#clocks = clocks;
    this.#lookedMs = clocks.nowMs;
    this.#lookEveryMs = lookEveryMs;
  }

  /** `addresses`: of this machine now, in any form that differs when they do. */
  onTick(addresses: string, clocks: Clocks): WatchAction[] {
    const slept = sleptFor(this.#clocks, clocks);
    this.#clocks = clocks;
    if (slept !== null) this.#sleptMs = (this.#sleptMs ?? 0) + slept;
    const isDue = clocks.nowMs - this.#lookedMs >= this.#lookEveryMs;
    const differs = addresses !== this.#addresses;
    this.#addresses = addresses;
    return isDue || differs || slept !== null ? this.#look(clocks.nowMs) : [];
  }

  onSeen(network: Network, nowMs: number): WatchAction[] {
    this.#looking = false;
    this.#lookedMs = nowMs;
    const text = textOf(network);
    const changed = text !== this.#seen;
    this.#seen = text;
    const sleptMs = this.#sleptMs;
    this.#sleptMs = null;
    if (sleptMs !== null) return [{ kind: "tell", news: { why: "woke", network, sleptMs } }];
    return changed ? [{ kind: "tell", news: { why: "changed", network } }] : [];
  }

  #look(nowMs: number): WatchAction[] {
    if (this.#looking) return [];
    this.#looking = true;
    this.#lookedMs = nowMs;
    return [{ kind: "look" }];
  }
}

/** Null = it did not sleep. Linux and macOS stop their monotonic clock in sleep; Windows lets it go on. */
function sleptFor(before: Clocks, now: Clocks): number | null {
  const elapsedMs = now.nowMs - before.nowMs;
  const aheadMs = now.wallMs - before.wallMs - elapsedMs;
  if (aheadMs > JUMP_MS) return aheadMs;
  return elapsedMs > TICK_MS + LATE_MS ? 0 : null;
}

function textOf({ gateways, pointToPoint }: Network): string {
  return JSON.stringify([gateways, pointToPoint]);
}
