import { setYoungest, trimOldest } from "./bounded-map.ts";

/** Sources remembered per forward: about 6 MB when all are in use. */
const DEFAULT_MAX_SOURCES = 65_536;

/** Bursts of up to twice the rate, at least one (`Limits.newPerSourcePerSec`). */
const BURST_SECONDS = 2;

/** What sums of intervals lose to rounding. */
const EPSILON_MS = 1e-6;

/**
 * A token bucket for each source, kept as one number: the time at which the bucket would be full again (GCRA, ITU-T
 * I.371). A source whose time has passed is the same as one never seen, so idle ones are forgotten without loss. When
 * the table is full of busy ones, the one seen longest ago is forgotten: it gets its burst anew, nobody is refused.
 */
export class SourceRate {
  readonly #fullAtMs = new Map<string, number>();
  readonly #maxSources: number;
  #intervalMs = 0;
  #spanMs = 0;

  /** `ratePerSec` above 0. */
  constructor(ratePerSec: number, maxSources = DEFAULT_MAX_SOURCES) {
    this.#maxSources = maxSources;
    this.setRate(ratePerSec);
  }

  get size(): number {
    return this.#fullAtMs.size;
  }

  /** A live change: what sources used up stays used up. */
  setRate(ratePerSec: number): void {
    this.#intervalMs = 1000 / ratePerSec;
    this.#spanMs = Math.max(1, BURST_SECONDS * ratePerSec) * this.#intervalMs;
  }

  /** Whether the source may open one more now; counts it if so. */
  take(source: string, nowMs: number): boolean {
    const fullAtMs = this.#fullAtMs.get(source) ?? nowMs;
    // Nobody owes more than the burst: a clock that stepped back must not lock a source out.
    const owedMs = Math.min(this.#spanMs, Math.max(0, fullAtMs - nowMs));
    const refused = owedMs + this.#intervalMs > this.#spanMs + EPSILON_MS;
    if (refused && fullAtMs <= nowMs + this.#spanMs) return false;
    setYoungest(this.#fullAtMs, source, nowMs + owedMs + (refused ? 0 : this.#intervalMs));
    this.#forget(nowMs);
    return !refused;
  }

  /** The oldest entries that are full again cost nothing to forget: two a call keep up with any rate of arrivals. */
  #forget(nowMs: number): void {
    let forgotten = 0;
    for (const [source, fullAtMs] of this.#fullAtMs) {
      if (fullAtMs > nowMs || forgotten === 2) break;
      this.#fullAtMs.delete(source);
      forgotten++;
    }
    trimOldest(this.#fullAtMs, this.#maxSources);
  }
}
