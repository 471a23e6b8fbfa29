import type { HeldForward } from "../../core/held.ts";
import { messageOf } from "../../os/errors.ts";
import type { Carried, Traffic } from "../../store/traffic.ts";
import type { Counters } from "../control.ts";

export interface TrafficRecorderOptions {
  readonly traffic: Traffic;
  forwards(): Iterable<HeldForward>;
  /** Of its entry, since that was opened; null = it is not open. */
  countersOf(forward: HeldForward): Counters | null;
  deviceName(device: string): string;
  wallMs(): number;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
}

interface Counts {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly visitors: number;
}

const NOTHING: Counts = { bytesIn: 0, bytesOut: 0, visitors: 0 };
/** A write for each forward that carried something, in one transaction: often enough that a crash loses a minute. */
const RECORD_EVERY_MS = 60_000;
const CONDENSE_EVERY_MS = 6 * 3_600_000;

/** Writes down what forwards carry, for plots. Driven by a sweeper; what cannot be stored is told, and costs no service. */
export class TrafficRecorder {
  readonly #options: TrafficRecorderOptions;
  /** As counted when they were looked at last, by device and forward. */
  #seen = new Map<string, Counts>();
  #nextRecordMs = Number.NEGATIVE_INFINITY;
  #nextCondenseMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: TrafficRecorderOptions) {
    this.#options = options;
  }

  /** `nowMs` is monotonic. */
  sweep(nowMs: number): void {
    if (nowMs < this.#nextRecordMs) return;
    this.#nextRecordMs = nowMs + RECORD_EVERY_MS;
    void this.record();
    if (nowMs < this.#nextCondenseMs) return;
    this.#nextCondenseMs = nowMs + CONDENSE_EVERY_MS;
    this.#then(() => this.#options.traffic.condense(this.#options.wallMs()));
  }

  /** Resolves when what was carried until now is stored, or could not be. */
  record(): Promise<void> {
    const carried = this.#carried();
    if (carried.length > 0) this.#then(() => this.#options.traffic.add(carried, this.#options.wallMs()));
    return this.#writing;
  }

  #then(work: () => Promise<void>): void {
    this.#writing = this.#writing
      .then(work)
      .catch((error: unknown) => this.#options.warn(`traffic could not be stored: ${messageOf(error)}`));
  }

  #carried(): Carried[] {
    const seen = new Map<string, Counts>();
    const all: Carried[] = [];
    for (const forward of this.#options.forwards()) {
      const counters = this.#options.countersOf(forward);
      if (counters === null) continue;
      const { owner, spec } = forward;
      const key = JSON.stringify([owner.device, spec.id]);
      const now = { bytesIn: counters.bytesIn, bytesOut: counters.bytesOut, visitors: counters.visitorsTotal };
      seen.set(key, now);
      const since = difference(now, this.#seen.get(key) ?? NOTHING);
      if (since.bytesIn + since.bytesOut + since.visitors === 0) continue;
      const names = { deviceName: this.#options.deviceName(owner.device), name: spec.name };
      all.push({ deviceId: owner.device, specId: spec.id, accountId: owner.account, ...names, ...since });
    }
    this.#seen = seen;
    return all;
  }
}

/** An entry that was opened again counts from zero. */
function difference(now: Counts, before: Counts): Counts {
  const isAnew = now.visitors < before.visitors || now.bytesIn < before.bytesIn || now.bytesOut < before.bytesOut;
  if (isAnew) return now;
  return {
    bytesIn: now.bytesIn - before.bytesIn,
    bytesOut: now.bytesOut - before.bytesOut,
    visitors: now.visitors - before.visitors,
  };
}
