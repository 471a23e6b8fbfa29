import { Deadlines } from "./deadlines.ts";

/**
 * What somebody did: connected and left without a word, presented a wrong credential (wrong, used, expired and revoked
 * are one), or let the time for logging in pass.
 */
export type Offence = "noAuth" | "failed" | "graceExceeded";

export interface PenaltyOptions {
  /** The penalty of each offence. Wrong credentials double: each one while the record lasts costs twice the one before. */
  readonly baseSec: Readonly<Record<Offence, number>>;
  /** Penalties add up to at most this. */
  readonly maxSec: number;
  /** Penalties that add up to less are kept in mind and not enforced. */
  readonly minSec: number;
  /** Records kept at once. */
  readonly maxRecords: number;
}

/**
 * For sources (`sourceKey`), after OpenSSH's PerSourcePenalties: 1 s, 5 s and 10 s, up to 10 min, enforced from 15 s on.
 * With the doubling a person may mistype once or twice; then the waits grow by 20 s, 40 s, 80 s and so on.
 */
export const SOURCE_PENALTIES: PenaltyOptions = {
  baseSec: { noAuth: 1, failed: 5, graceExceeded: 10 },
  maxSec: 600,
  minSec: 15,
  maxRecords: 65_536,
};

interface Penalty {
  failures: number;
  untilMs: number;
  enforced: boolean;
}

/** Beyond this the penalty is at any sensible maximum; it keeps the numbers finite. */
const MAX_DOUBLINGS = 20;

/**
 * Growing penalties by key. A key without a record is never refused. When the table is full, the record that ends
 * soonest gives way: that is an honest mistake rather than an attack, and no flood of sources shuts out those who did
 * nothing. A record lasts `maxSec` beyond its penalty, so that one try per penalty does not start over. A success
 * forgives nothing, else one good credential would wash a source. Dropped connections double nothing: a site whose
 * many agents lose their link half-way through a handshake is not an attacker. A clock that steps back shortens no
 * penalty and prolongs none beyond `maxSec` from then.
 */
export class Penalties {
  readonly #options: PenaltyOptions;
  readonly #records = new Map<string, Penalty>();
  readonly #forget = new Deadlines<string>();

  constructor(options: PenaltyOptions = SOURCE_PENALTIES) {
    this.#options = options;
  }

  get size(): number {
    return this.#records.size;
  }

  /**
   * Adds a penalty; returns the milliseconds for which the key is refused from now (0 = not enforced yet). `atLeastMs`: what
   * the penalty is raised to, for one that another record earned.
   */
  offend(key: string, offence: Offence, nowMs: number, atLeastMs = 0): number {
    const { baseSec, minSec } = this.#options;
    this.#expire(nowMs);
    const record = this.#records.get(key) ?? this.#admit(key, nowMs);
    const doublings = offence === "failed" ? Math.min(record.failures++, MAX_DOUBLINGS) : 0;
    const runningMs = this.#runningMs(record, nowMs);
    const ownMs = runningMs + baseSec[offence] * 1000 * 2 ** doublings;
    const totalMs = Math.min(this.#maxMs, Math.max(ownMs, atLeastMs));
    record.enforced = (record.enforced && runningMs > 0) || totalMs >= minSec * 1000;
    record.untilMs = nowMs + totalMs;
    this.#forget.set(key, record.untilMs + this.#maxMs);
    return record.enforced ? totalMs : 0;
  }

  /** Milliseconds for which the key is still refused; 0 = it may try. */
  refusedMs(key: string, nowMs: number): number {
    const record = this.#records.get(key);
    return record?.enforced === true ? this.#runningMs(record, nowMs) : 0;
  }

  get #maxMs(): number {
    return this.#options.maxSec * 1000;
  }

  #runningMs(record: Penalty, nowMs: number): number {
    record.untilMs = Math.min(record.untilMs, nowMs + this.#maxMs);
    return Math.max(0, record.untilMs - nowMs);
  }

  #admit(key: string, nowMs: number): Penalty {
    if (this.#records.size >= this.#options.maxRecords) {
      const soonest = this.#forget.first();
      if (soonest !== undefined) this.#drop(soonest);
    }
    const record: Penalty = { failures: 0, untilMs: nowMs, enforced: false };
    this.#records.set(key, record);
    return record;
  }

  #expire(nowMs: number): void {
    for (const key of this.#forget.takeDue(nowMs)) this.#records.delete(key);
  }

  #drop(key: string): void {
    this.#forget.clear(key);
    this.#records.delete(key);
  }
}
