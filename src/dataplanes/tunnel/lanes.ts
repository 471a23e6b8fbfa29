import { type Lane, leastLoaded } from "../../core/tunnel/placement.ts";
import type { Carrier } from "./carrier.ts";

/** How many carriers of each role a session has, beside its control carrier. */
export interface LaneSizes {
  readonly light: number;
  readonly bulk: number;
  readonly datagram: number;
}

/** A stream that has bytes for a carrier without room. */
export interface Waiter {
  /** The carrier takes bytes again: one turn. */
  carrierReady(): void;
}

/** The carriers of one session, by what they carry, and who waits for room on them. */
export class Lanes {
  private readonly light: Carrier[] = [];
  private readonly bulk: Carrier[] = [];
  private readonly datagrams: Carrier[] = [];
  private readonly byIndex: (Carrier | undefined)[] = [];
  /** By carrier index; first come, first served. */
  private readonly waiting: Set<Waiter>[] = [];

  constructor(
    readonly control: Carrier,
    private readonly sizes: LaneSizes,
  ) {
    this.take(control);
  }

  /** False when the carrier's role is full or its index taken. */
  attach(carrier: Carrier): boolean {
    if (carrier.index === 0 || carrier.role === "control" || this.byIndex[carrier.index] !== undefined) return false;
    const lane = carrier.role === "datagram" ? this.datagrams : this[carrier.role];
    if (lane.length >= this.sizes[carrier.role]) return false;
    lane.push(carrier);
    this.take(carrier);
    return true;
  }

  private take(carrier: Carrier): void {
    this.byIndex[carrier.index] = carrier;
    this.waiting[carrier.index] = new Set();
  }

  /** All that the session should have are there. */
  get complete(): boolean {
    const { light, bulk, datagram } = this.sizes;
    return this.light.length === light && this.bulk.length === bulk && this.datagrams.length === datagram;
  }

  get count(): number {
    return this.all().length;
  }

  /** The control carrier first. */
  all(): Carrier[] {
    return this.byIndex.filter((carrier) => carrier !== undefined);
  }

  has(index: number): boolean {
    return this.byIndex[index] !== undefined;
  }

  /** Where a new stream begins. The session is complete. */
  get forNewStream(): Carrier {
    return leastLoaded(this.light);
  }

  /** The session is complete. */
  get datagram(): Carrier {
    return this.datagrams[0] as Carrier;
  }

  get rttMs(): number | null {
    return this.light[0]?.liveness.rttMs ?? this.control.liveness.rttMs;
  }

  /** The carrier that a stream in this lane should send on, and from now on does; `current` stays when it fits. */
  move(lane: Lane, current: Carrier): Carrier {
    if (current.role === lane) return current;
    const next = leastLoaded(this[lane]);
    current.load--;
    next.load++;
    return next;
  }

  /** Calls `carrierReady` once the carrier takes bytes again. */
  wait(carrier: Carrier, waiter: Waiter): void {
    this.waiting[carrier.index]?.add(waiter);
    // A carrier with room sends no drain event: serve the turn's end from the queue itself.
    if (carrier.ready) setImmediate(() => this.serve(carrier));
  }

  /** `waiter` sends no more on `carrier`. */
  leave(carrier: Carrier, waiter: Waiter): void {
    carrier.load--;
    this.waiting[carrier.index]?.delete(waiter);
  }

  /** Gives each waiter a turn while the carrier has room. */
  serve(carrier: Carrier): void {
    const queue = this.waiting[carrier.index];
    while (queue !== undefined && carrier.ready) {
      const next = queue.values().next();
      if (next.done) return;
      queue.delete(next.value);
      next.value.carrierReady();
    }
  }
}
