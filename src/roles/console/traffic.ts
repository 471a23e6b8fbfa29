import type { EntrySpec } from "../../core/forward.ts";
import type { HeldForward } from "../../core/held.ts";
import type { ForwardCounters } from "../../dataplanes/io/counters.ts";
import { messageOf } from "../../os/errors.ts";
import type { Carried, Traffic } from "../../store/traffic.ts";

export interface TrafficRecorderOptions<S extends EntrySpec> {
  readonly traffic: Traffic;
  forwards(): Iterable<HeldForward<S>>;
  /** Of its entry, since that was opened; null = it is not open. The members of a group have one entry, and one object. */
  countersOf(forward: HeldForward<S>): Counted | null;
  deviceName(device: string): string;
  wallMs(): number;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
}

/** They only grow; an entry that was opened again has others. */
export type Counted = Pick<ForwardCounters, "bytesIn" | "bytesOut" | "visitorsTotal">;

const NOTHING: Counted = { bytesIn: 0, bytesOut: 0, visitorsTotal: 0 };
/** A write for each forward that carried something, in one transaction: often enough that a crash loses a minute. */
const RECORD_EVERY_MS = 60_000;
const CONDENSE_EVERY_MS = 6 * 3_600_000;

/** Writes down what forwards carry, for plots. Driven by a sweeper; what cannot be stored is told, and costs no service. */
export class TrafficRecorder<S extends EntrySpec = EntrySpec> {
  readonly #options: TrafficRecorderOptions<S>;
  /** As counted when they were looked at last. */
  #seen = new Map<Counted, Counted>();
  #nextRecordMs = Number.NEGATIVE_INFINITY;
  #nextCondenseMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: TrafficRecorderOptions<S>) {
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

  /** What a group carried is told under the member that came first. */
  #carried(): Carried[] {
    const seen = new Map<Counted, Counted>();
    const all: Carried[] = [];
    for (const forward of this.#options.forwards()) {
      const counted = this.#options.countersOf(forward);
      if (counted === null || seen.has(counted)) continue;
      const { bytesIn, bytesOut, visitorsTotal } = counted;
      seen.set(counted, { bytesIn, bytesOut, visitorsTotal });
      const before = this.#seen.get(counted) ?? NOTHING;
      const since = {
        bytesIn: bytesIn - before.bytesIn,
        bytesOut: bytesOut - before.bytesOut,
        visitors: visitorsTotal - before.visitorsTotal,
      };
      if (since.bytesIn + since.bytesOut + since.visitors === 0) continue;
      const { owner, spec } = forward;
      const names = { deviceName: this.#options.deviceName(owner.device), name: spec.name };
      all.push({ deviceId: owner.device, specId: spec.id, accountId: owner.account, ...names, ...since });
    }
    this.#seen = seen;
    return all;
  }
}
