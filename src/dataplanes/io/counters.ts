import type { ReasonName } from "../../wire/reason.ts";

/** How many of the latest answer times are kept for the quantiles. */
const ANSWER_SAMPLES = 256;

/** What a forward counts from its opening. Bytes are payload only. */
export class ForwardCounters {
  visitorsTotal = 0;
  visitorsOpen = 0;
  /** From visitors towards the service. */
  bytesIn = 0;
  /** From the service towards visitors. */
  bytesOut = 0;
  datagramsDropped = 0;
  /** Of all reasons. */
  refusedTotal = 0;
  readonly #refused = new Map<ReasonName, number>();
  readonly #answersMs: number[] = [];
  #nextAnswer = 0;

  /** A visitor was refused, or an open visit was cut. */
  countRefused(reason: ReasonName): void {
    this.refusedTotal += 1;
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  /** From the visitor's arrival until its exit opened. */
  countAnswer(elapsedMs: number): void {
    this.#answersMs[this.#nextAnswer] = elapsedMs;
    this.#nextAnswer = (this.#nextAnswer + 1) % ANSWER_SAMPLES;
  }

  /** Reasons that never happened are absent. */
  refused(): Partial<Record<ReasonName, number>> {
    return Object.fromEntries(this.#refused);
  }

  /** Over the recent visits; null = none yet. */
  answerMs(): { readonly p50: number; readonly p90: number } | null {
    if (this.#answersMs.length === 0) return null;
    // Numbers sort in a third of the time that a comparison takes: a scrape asks a thousand forwards.
    const sorted = Float64Array.from(this.#answersMs).sort();
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { p50: at(0.5), p90: at(0.9) };
  }
}
