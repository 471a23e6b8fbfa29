import type { KeeperOptions } from "./keeper-model.ts";
import { checkAfterMs } from "./pace.ts";

/** A permanent mapping is believed in for so long while the router says nothing of it. */
export const TRUST_MS = 600_000;

/** When a router is asked whether it still has a mapping, and how long ago it last showed that it has. */
export class Checks {
  readonly #options: Pick<KeeperOptions, "random" | "crowd">;
  #atMs: number | null = null;
  #canTell = true;
  #seenMs = Number.NEGATIVE_INFINITY;

  constructor(options: Pick<KeeperOptions, "random" | "crowd">) {
    this.#options = options;
  }

  /** The next one; null = none. */
  get atMs(): number | null {
    return this.#atMs;
  }

  /** It was granted; `anew`: by another router or protocol, of which nothing is known. */
  granted(anew: boolean, nowMs: number): void {
    if (anew) this.#canTell = true;
    this.#seenMs = nowMs;
    this.plan(nowMs);
  }

  /** Null = the protocol cannot tell. */
  answered(holds: boolean | null, nowMs: number): void {
    if (holds === null) this.#canTell = false;
    else if (holds) this.#seenMs = nowMs;
    this.plan(nowMs);
  }

  plan(nowMs: number): void {
    const { random, crowd } = this.#options;
    this.#atMs = this.#canTell ? nowMs + checkAfterMs(crowd(), random()) : null;
  }

  /** False: the protocol cannot tell. */
  soon(atMs: number): boolean {
    if (this.#canTell) this.#atMs = Math.min(this.#atMs ?? atMs, atMs);
    return this.#canTell;
  }

  stop(): void {
    this.#atMs = null;
  }

  isLongAgo(nowMs: number): boolean {
    return nowMs - this.#seenMs >= TRUST_MS;
  }
}
