import type { ReasonName } from "../../wire/reason.ts";
import type { Descriptors } from "../io/descriptors.ts";
import type { Sweepable, Sweeper } from "../io/sweeper.ts";
import { type Dialer, TcpEnd } from "../io/tcp-end.ts";
import type { Turnstile } from "../io/turnstile.ts";

/** A service that has not answered after this long is reported as serviceTimeout. */
export const DIAL_DEADLINE_MS = 10_000;
/** An address without an answer gives way to the next one after this long (RFC 8305 §5, made coarse: no race). */
const NEXT_ADDRESS_MS = 2_000;

/** Dials under way in this process, looked at once a sweep instead of by a timer each. */
export class Dials implements Sweepable {
  readonly #pending = new Set<Dial>();

  constructor(readonly sweeper: Sweeper) {
    sweeper.add(this);
  }

  /** An end that will be connected by `start`, or ended by `refuse`. */
  begin(): Dial {
    const dial = new Dial(this);
    this.#pending.add(dial);
    return dial;
  }

  done(dial: Dial): void {
    this.#pending.delete(dial);
  }

  sweep(nowMs: number): void {
    for (const dial of this.#pending) dial.sweep(nowMs);
  }

  close(): void {
    this.sweeper.remove(this);
    for (const dial of [...this.#pending]) dial.end.reset("shutdown");
    this.#pending.clear();
  }
}

/** One dial: the addresses of a service tried in turn until one answers. */
export class Dial implements Dialer {
  readonly turnstile: Turnstile;
  readonly descriptors: Descriptors;
  readonly end: TcpEnd;
  #addresses: readonly string[] = [];
  #port = 0;
  #next = 0;
  readonly #startedMs: number;
  #attemptMs: number;

  constructor(readonly dials: Dials) {
    this.turnstile = dials.sweeper.turnstile;
    this.descriptors = dials.sweeper.descriptors;
    this.end = TcpEnd.dialled(this);
    this.#startedMs = dials.sweeper.nowMs();
    this.#attemptMs = this.#startedMs;
  }

  /** `addresses` are IP literals, at least one, every one allowed. */
  start(addresses: readonly string[], port: number): void {
    this.#addresses = addresses;
    this.#port = port;
    this.#dialNext();
  }

  /** The outcome comes in this turn, but after the sink of the end was set. */
  refuse(reason: ReasonName): void {
    queueMicrotask(() => this.#giveUp(reason));
  }

  dialOpened(): void {
    this.dials.done(this);
  }

  dialFailed(_end: TcpEnd, reason: ReasonName): void {
    if (this.#next < this.#addresses.length) this.#dialNext();
    else this.#giveUp(reason);
  }

  sweep(nowMs: number): void {
    if (this.end.isClosed) this.dials.done(this);
    else if (nowMs - this.#startedMs >= DIAL_DEADLINE_MS) this.#giveUp("serviceTimeout");
    else if (this.#next > 0 && this.#next < this.#addresses.length && nowMs - this.#attemptMs >= NEXT_ADDRESS_MS) {
      this.#dialNext();
    }
  }

  #dialNext(): void {
    const address = this.#addresses[this.#next];
    if (address === undefined) return;
    this.#next += 1;
    this.#attemptMs = this.dials.sweeper.nowMs();
    this.end.dial(address, this.#port);
  }

  #giveUp(reason: ReasonName): void {
    this.dials.done(this);
    this.end.refuse(reason);
  }
}
