export interface PendingLimits {
  /** Connections that have not proved who they are, all together. */
  readonly total: number;
  /** The same, of one source. */
  readonly perSource: number;
  /** From here on, sources that already have one pending are refused at random, ever more often up to `total`. */
  readonly earlyFrom: number;
}

/**
 * 64 from one source lets a whole site come back at once behind one NAT (a handshake takes milliseconds, and who is
 * refused tries again with jitter), while one attacker holds at most 1/16 of the places.
 */
export const DEFAULT_PENDING_LIMITS: PendingLimits = { total: 1024, perSource: 64, earlyFrom: 512 };

/** `total` = every place is taken; `source` = this source has its share; `early` = drawn by lot under load. */
export type PendingRefusal = "total" | "source" | "early";

/**
 * How many connections may wait for authentication, after OpenSSH's MaxStartups, with one difference: the lot never
 * falls on a source that has nothing pending, so that under load from few sources an honest one still comes in.
 * Memory: one entry for each source that has a connection pending, at most `total`.
 */
export class Pending {
  readonly #limits: PendingLimits;
  readonly #bySource = new Map<string, number>();
  #total = 0;

  constructor(limits: PendingLimits = DEFAULT_PENDING_LIMITS) {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** Of one source. */
  of(source: string): number {
    return this.#bySource.get(source) ?? 0;
  }

  get sources(): number {
    return this.#bySource.size;
  }

  /** Null = counted until `leave`. `source`: a `sourceKey`; `random` in 0..1. */
  enter(source: string, random: number): PendingRefusal | null {
    const { total, perSource, earlyFrom } = this.#limits;
    const pending = this.#bySource.get(source) ?? 0;
    if (this.#total >= total) return "total";
    if (pending >= perSource) return "source";
    if (pending > 0 && this.#total >= earlyFrom && random < (this.#total - earlyFrom + 1) / (total - earlyFrom + 1)) {
      return "early";
    }
    this.#bySource.set(source, pending + 1);
    this.#total++;
    return null;
  }

  /** The connection authenticated or ended. Once per `enter` that returned null. */
  leave(source: string): void {
    const pending = this.#bySource.get(source);
    if (pending === undefined) return;
    this.#total--;
    if (pending === 1) this.#bySource.delete(source);
    else this.#bySource.set(source, pending - 1);
  }
}
