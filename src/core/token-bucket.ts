/** The smallest burst of the bandwidth shaper: one read of a busy socket passes whole even at a low rate. */
export const MIN_SHAPER_BURST_BYTES = 64 * 1024;

/** A tenth of a second of the rate, at least 64 KiB. */
export function shaperBurstBytes(bytesPerSec: number): number {
  return Math.max(MIN_SHAPER_BURST_BYTES, bytesPerSec / 10);
}

/**
 * Tokens (bytes or events) that refill at a steady rate up to a burst. Starts full. A request above the burst is
 * served by a full bucket and leaves a debt, so that nothing waits for ever. A clock that steps back refills nothing
 * and costs nothing; one that steps forward fills the bucket at most.
 */
export class TokenBucket {
  #ratePerSec: number;
  #burst: number;
  #tokens: number;
  #atMs: number;

  /** `ratePerSec` and `burst` in tokens, both above 0. */
  constructor(ratePerSec: number, burst: number, nowMs: number) {
    this.#ratePerSec = ratePerSec;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Takes `n` tokens when they are there; false, and nothing taken, when they are not. */
  take(n: number, nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < Math.min(n, this.#burst)) return false;
    this.#tokens -= n;
    return true;
  }

  /** Takes `n` tokens that are already used (bytes that were read), going into debt when they are not there. */
  spend(n: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens -= n;
  }

  /** Milliseconds until `take(n)` succeeds, rounded up; 0 = now. After `spend`, `waitMs(1)` is when to go on. */
  waitMs(n: number, nowMs: number): number {
    this.#refill(nowMs);
    const missing = Math.min(n, this.#burst) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil((missing * 1000) / this.#ratePerSec);
  }

  /** A live change of the limit: what was saved or owed stays, within the new burst. */
  setRate(ratePerSec: number, burst: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#ratePerSec = ratePerSec;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  #refill(nowMs: number): void {
    const elapsedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    if (elapsedMs > 0) this.#tokens = Math.min(this.#burst, this.#tokens + (elapsedMs * this.#ratePerSec) / 1000);
  }
}
