import { Backoff, type BackoffOptions } from "../backoff.ts";
import type { RouterFailure, RouterFailureKind } from "./model.ts";

/**
 * Always shorter than what a mapping waits by itself (keeper.ts): a lone mapping never meets a closed door, and a
 * thousand of them together ask no more than one would.
 */
const QUIET: BackoffOptions = { baseMs: 1000, maxMs: 30_000, goodAfterMs: 0, atOnceEveryMs: Number.POSITIVE_INFINITY };

/** What says that nobody is there, rather than no to what was asked. */
export function isAbsence(kind: RouterFailureKind): boolean {
  return kind === "silent" || kind === "closed";
}

/**
 * Keeps mappings from all asking a router's protocol that does not answer: after a silence one request at a time finds
 * out, ever less often, and the others are told what that one met.
 */
export class Quiet {
  #backoff = new Backoff(QUIET);
  #last: RouterFailure | null = null;
  #nextMs = 0;
  #scouting = false;

  /** Null = ask, and tell `ended`; else what the last request met. */
  admit(nowMs: number): RouterFailure | null {
    if (this.#last === null) return null;
    if (this.#scouting || nowMs < this.#nextMs) return this.#last;
    this.#scouting = true;
    return null;
  }

  /** The request ended: null = it was answered. True when the router is back after a silence. `random` in 0..1. */
  ended(failure: RouterFailure | null, nowMs: number, random: number): boolean {
    const wasQuiet = this.#last !== null;
    if (failure === null || !isAbsence(failure.kind)) {
      this.#backoff = new Backoff(QUIET);
      this.#last = null;
      this.#scouting = false;
      return wasQuiet;
    }
    // Several that were under way when it fell silent are one silence.
    if (wasQuiet && !this.#scouting) return false;
    this.#scouting = false;
    this.#last = failure;
    this.#nextMs = nowMs + this.#backoff.failed(nowMs, (1 + random) / 2);
    return false;
  }

  /** The request was called off: nobody knows what it would have met. */
  abandoned(): void {
    this.#scouting = false;
  }
}
