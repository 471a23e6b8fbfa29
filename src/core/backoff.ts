export interface BackoffOptions {
  /** The ceiling of the first delay. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** A connection that lived this long was a good one: the next failure starts from the base again. */
  readonly goodAfterMs: number;
  /** A connection that was lost is tried again at once, but only so often: the next attempt waits like any other. */
  readonly atOnceEveryMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = {
  baseMs: 250,
  maxMs: 30_000,
  goodAfterMs: 10_000,
  atOnceEveryMs: 30_000,
};

/**
 * When to try again. What was connected is tried once at once: mostly one NAT forgot, and the relay is there. After that
 * full jitter, so that many agents cut at once come back spread out (delay = random × min(max, base × 2^attempt)).
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #attempt = 0;
  #connectedAtMs: number | null = null;
  #atOnceMs = Number.NEGATIVE_INFINITY;

  constructor(options: BackoffOptions = DEFAULT_BACKOFF) {
    this.#options = options;
  }

  connected(nowMs: number): void {
    this.#connectedAtMs = nowMs;
  }

  /** The attempt failed or the connection was lost: milliseconds until the next attempt. `random` in 0..1. */
  failed(nowMs: number, random: number): number {
    const { baseMs, maxMs, goodAfterMs, atOnceEveryMs } = this.#options;
    const connectedAtMs = this.#connectedAtMs;
    this.#connectedAtMs = null;
    if (connectedAtMs !== null) {
      if (nowMs - connectedAtMs >= goodAfterMs) this.#attempt = 0;
      if (nowMs - this.#atOnceMs >= atOnceEveryMs) {
        this.#atOnceMs = nowMs;
        return 0;
      }
    }
    const ceilingMs = Math.min(maxMs, baseMs * 2 ** this.#attempt);
    if (ceilingMs < maxMs) this.#attempt++;
    return random * ceilingMs;
  }
}
