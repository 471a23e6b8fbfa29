import { Backoff, type BackoffOptions } from "../backoff.ts";
import type { RouterFailure, RouterFailureKind } from "./model.ts";
import { otherPort } from "./other-port.ts";
import type { PortWish } from "./wish.ts";

/** The same port is asked for again after at least this, whatever the answer was. */
export const MIN_RETRY_MS = 1000;
/** Requests for other ports, one after another, when one is taken. */
export const MAX_OTHER_PORTS = 6;

/** The upper half of each delay is jitter: 1 to 2 s, then 2 to 4, up to 30 to 60. */
const QUICK: BackoffOptions = { baseMs: 2000, maxMs: 60_000, goodAfterMs: 0, atOnceEveryMs: Number.POSITIVE_INFINITY };
/** For a no: 10 to 20 s, up to 30 to 60. */
const SLOW: BackoffOptions = { ...QUICK, baseMs: 20_000 };

/**
 * A router that names a time (RFC 6887 §7.4) is obeyed up to this. Half an hour is what it recommends for most errors, and
 * nobody who has just changed the router's settings waits for that.
 */
const MAX_OBEYED_SEC = 300;
const MS_PER_SEC = 1000;

/** A no is not worth asking about often; but rules change, and another's lease may end. */
export function isNo(kind: RouterFailureKind): boolean {
  return kind === "refused" || kind === "unsupported" || kind === "conflict";
}

export interface Chance {
  /** 0..1, evenly. */
  random(): number;
  /** Whether no other mapping of ours has or wants that external port. */
  isFree(port: number): boolean;
}

/** What to ask for next, and when, after requests that failed in a row. */
export class Retries {
  readonly #wish: PortWish;
  readonly #chance: Chance;
  #quick = new Backoff(QUICK);
  #slow = new Backoff(SLOW);
  #conflicts = 0;

  constructor(wish: PortWish, chance: Chance) {
    this.#wish = wish;
    this.#chance = chance;
  }

  reset(): void {
    this.#quick = new Backoff(QUICK);
    this.#slow = new Backoff(SLOW);
    this.#conflicts = 0;
  }

  waitMs(failure: RouterFailure, nowMs: number): number {
    const backoff = isNo(failure.kind) ? this.#slow : this.#quick;
    const ownMs = backoff.failed(nowMs, (1 + this.#chance.random()) / 2);
    const obeyedMs = Math.min(failure.retryAfterSec ?? 0, MAX_OBEYED_SEC) * MS_PER_SEC;
    return Math.max(MIN_RETRY_MS, ownMs, obeyedMs);
  }

  /**
   * The external port to ask for after `taken` was; null = the same. `atOnce`: it may be asked for now. After
   * MAX_OTHER_PORTS it is the wished port and another one in turn: the wished one may be free by now.
   */
  afterConflict(taken: number): { readonly port: number | null; readonly atOnce: boolean } {
    const { exact, externalPort } = this.#wish;
    if (exact) return { port: null, atOnce: false };
    this.#conflicts++;
    const atOnce = this.#conflicts <= MAX_OTHER_PORTS;
    if (!atOnce && this.#conflicts % 2 === 0) return { port: externalPort, atOnce };
    const isFree = (port: number) => port !== taken && this.#chance.isFree(port);
    return { port: otherPort(externalPort, this.#conflicts, this.#chance.random(), isFree), atOnce };
  }
}
