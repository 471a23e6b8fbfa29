import type { HeldGrant } from "./keeper-model.ts";
import type { RouterFailure } from "./model.ts";

/** How long leaving takes at most. */
export const LEAVE_MS = 3000;
const TRIES = 2;
/** What made the first try fail at once may be over then. */
const AGAIN_MS = 1000;

/** The end of a mapping: what is at the router is taken away, in two tries and 3 s at most. */
export class Leaving {
  readonly #byMs: number;
  /** What the router has, or may have, and is still to be taken away. */
  #there: readonly HeldGrant[];
  #givenUp: HeldGrant | null = null;
  #tries = 0;
  #nextMs: number;

  constructor(there: readonly HeldGrant[], nowMs: number) {
    this.#there = there;
    this.#nextMs = nowMs;
    this.#byMs = nowMs + LEAVE_MS;
  }

  /** What was not taken away; null = nothing. */
  get left(): HeldGrant | null {
    return this.#givenUp ?? this.#there[0] ?? null;
  }

  /** `isAsking`: a request is under way. */
  deadlineMs(isAsking: boolean): number {
    return isAsking ? this.#byMs : this.#nextMs;
  }

  /** What to take away now; null = wait; "over" = there is nothing to do, or no time. */
  next(isAsking: boolean, nowMs: number): HeldGrant | "over" | null {
    if (nowMs >= this.#byMs) return "over";
    if (isAsking || nowMs < this.#nextMs) return null;
    const [held] = this.#there;
    if (held === undefined) return "over";
    this.#tries++;
    return held;
  }

  /** A request that was under way brought it, or renewed it. */
  granted(held: HeldGrant): void {
    const isSame = (other: HeldGrant) => other.grant.externalPort === held.grant.externalPort;
    this.#there = [held, ...this.#there.filter((other) => !isSame(other))];
  }

  /** Null = it is taken away. */
  unmapped(failure: RouterFailure | null, nowMs: number): void {
    const isAgain = failure !== null && failure.kind !== "refused" && this.#tries < TRIES;
    this.#nextMs = Math.min(this.#byMs, isAgain ? nowMs + AGAIN_MS : nowMs);
    if (isAgain) return;
    if (failure !== null) this.#givenUp ??= this.#there[0] ?? null;
    this.#there = this.#there.slice(1);
    this.#tries = 0;
  }
}
