import type { Protocol } from "../../wire/port-set.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { ForwardCounters } from "./counters.ts";
import type { Visit } from "./ends.ts";
import type { Sweepable } from "./sweeper.ts";

/** Idle timeouts of a forward, seconds; the same fields as ForwardOptions. */
export interface IdleLimits {
  /** null = never. */
  readonly tcpIdleSec: number | null;
  readonly halfCloseIdleSec: number;
  readonly udpIdleSec: number;
}

/** Decides who may come in; one a forward (core/admission.ts). */
export interface Admission {
  /** Null = welcome: `leave` follows when the visit ends. `nowMs` is monotonic. */
  admit(address: string, nowMs: number): ReasonName | null;
  /** One more connection of a visitor who is in already: false = there is no room for it. Else `leave` follows, too. */
  admitMore(address: string): boolean;
  leave(address: string): void;
}

/** A TCP connection or a UDP flow that is open, or whose exit is still opening. */
export interface OpenVisit {
  readonly protocol: Protocol;
  readonly visit: Visit;
  /** Unix time, milliseconds. */
  readonly sinceMs: number;
  /** Payload from the visitor towards the service, and back. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Resets both sides. */
  cut(reason: ReasonName): void;
  /** Ends itself when it was idle too long. */
  sweep(nowMs: number, limits: IdleLimits): void;
}

/** The open visits of one forward. Ids are unique within the forward and never used twice. */
export class Visits implements Sweepable {
  readonly counters: ForwardCounters;
  /** May be replaced while visits are open: the next sweep goes by the new limits. */
  limits: IdleLimits;
  readonly #open = new Map<number, OpenVisit>();
  #lastId = 0;
  #onEmpty: (() => void) | null = null;

  constructor(limits: IdleLimits, counters: ForwardCounters = new ForwardCounters()) {
    this.limits = limits;
    this.counters = counters;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Oldest first. */
  list(): IterableIterator<[number, OpenVisit]> {
    return this.#open.entries();
  }

  /** Returns the visit's id. */
  add(visit: OpenVisit): number {
    this.#lastId += 1;
    this.#open.set(this.#lastId, visit);
    this.counters.visitorsTotal += 1;
    this.counters.visitorsOpen += 1;
    return this.#lastId;
  }

  /** Called by the visit itself when both its sides have ended; `reason` as in ByteSink.onClose. */
  remove(id: number, reason: ReasonName | null): void {
    if (!this.#open.delete(id)) return;
    this.counters.visitorsOpen -= 1;
    if (reason !== null) this.counters.countRefused(reason);
    if (this.#open.size === 0) this.#onEmpty?.();
  }

  /** False when no such visit is open. */
  kill(id: number, reason: ReasonName = "killed"): boolean {
    const visit = this.#open.get(id);
    visit?.cut(reason);
    return visit !== undefined;
  }

  cutAll(reason: ReasonName): void {
    for (const visit of [...this.#open.values()]) visit.cut(reason);
  }

  /** Resolves when no visit is open, at once if so. */
  async drained(): Promise<void> {
    if (this.#open.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#onEmpty;
    this.#onEmpty = () => {
      before?.();
      this.#onEmpty = null;
      resolve();
    };
    await promise;
  }

  sweep(nowMs: number): void {
    for (const visit of this.#open.values()) visit.sweep(nowMs, this.limits);
  }
}
