import { setYoungest, trimOldest } from "../bounded-map.ts";
import { TokenBucket } from "../token-bucket.ts";

/** A person tries a port a few times while they mend it; a scan of 65,535 takes a week. */
export const CHECK_LIMITS = {
  perAsker: { burst: 6, perSec: 0.1 },
  total: { burst: 40, perSec: 4 },
  atOncePerAsker: 2,
  atOnce: 32,
} as const;
const MAX_ASKERS = 10_000;

interface AskerState {
  readonly bucket: TokenBucket;
  open: number;
}

/** How many probes a relay makes: for each asker, and for all together. */
export class CheckLimits {
  readonly #askers = new Map<string, AskerState>();
  readonly #total: TokenBucket;
  #open = 0;

  constructor(nowMs: number) {
    const { burst, perSec } = CHECK_LIMITS.total;
    this.#total = new TokenBucket(perSec, burst, nowMs);
  }

  /** Probes under way. */
  get open(): number {
    return this.#open;
  }

  /**
   * Null = go on, and call `leave` with the same names when the probe is over; else how many seconds to wait. An asker
   * may have several names, its device and its address; it is counted under each.
   */
  enter(names: readonly string[], nowMs: number): number | null {
    const states = names.map((name) => this.#state(name, nowMs));
    const buckets = [...states.map(({ bucket }) => bucket), this.#total];
    const waitMs = Math.max(...buckets.map((bucket) => bucket.waitMs(1, nowMs)));
    const isFull = this.#open >= CHECK_LIMITS.atOnce || states.some(({ open }) => open >= CHECK_LIMITS.atOncePerAsker);
    if (waitMs > 0 || isFull) return Math.max(1, Math.ceil(waitMs / 1_000));
    for (const bucket of buckets) bucket.take(1, nowMs);
    for (const state of states) state.open++;
    this.#open++;
    return null;
  }

  leave(names: readonly string[]): void {
    this.#open--;
    for (const name of names) {
      const state = this.#askers.get(name);
      // Forgotten meanwhile, and seen again since: nobody has less than none open.
      if (state !== undefined) state.open = Math.max(0, state.open - 1);
    }
  }

  #state(name: string, nowMs: number): AskerState {
    const { burst, perSec } = CHECK_LIMITS.perAsker;
    const state = this.#askers.get(name) ?? { bucket: new TokenBucket(perSec, burst, nowMs), open: 0 };
    setYoungest(this.#askers, name, state);
    trimOldest(this.#askers, MAX_ASKERS);
    return state;
  }
}
