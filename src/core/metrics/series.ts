/** What a forward counted. It only grows, until whatever counts begins again from zero. */
export interface Counts {
  readonly visitorsTotal: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly refusedTotal: number;
  readonly datagramsDropped: number;
}

export interface SeriesRow {
  readonly forward: string;
  readonly device: string;
  /** Of whatever counts: the same as long as the counts go on from where they were. Null: nothing counts. */
  readonly source: unknown;
  readonly counts: Counts;
  readonly visitorsOpen: number;
  readonly isUp: boolean;
  /** Asked for rows with series of their own: it may take a while. Milliseconds; null = none yet. */
  answerMs(): { readonly p50: number; readonly p90: number } | null;
}

/** What is told under one pair of labels. */
export interface Series extends Counts {
  readonly forward: string;
  readonly device: string;
  readonly visitorsOpen: number;
  /** Null for those that are summed. */
  readonly isUp: boolean | null;
  readonly answerMs: { readonly p50: number; readonly p90: number } | null;
}

/** Of one round. */
export interface SeriesReport {
  readonly series: readonly Series[];
  /** Rows that are summed as OTHER. */
  readonly unlisted: number;
  /** Since the first round, also of what is gone; open visits are those of now. */
  readonly total: Counts & { readonly visitorsOpen: number };
}

/** No forward is called so: names begin with a letter or a digit. */
export const OTHER = "(other)";
/** About eight lines each: some 800 KB that Prometheus reads at each scrape and keeps for weeks. */
export const MAX_SERIES = 1_000;

/**
 * Series of forwards, at most so many. A pair of labels that has its own keeps it for as long as a forward has these labels;
 * the rest is summed. What a series counts never goes down while it is there, whichever forwards leave the sum: Prometheus
 * would take a fall for a restart, and what is left for new visitors.
 */
export class ForwardSeries {
  readonly #max: number;
  readonly #listed = new Map<string, Sums>();
  readonly #other = new Sums(OTHER, "");
  readonly #total = new Sums("", "");
  #seen = new Map<unknown, Counts>();

  constructor(max = MAX_SERIES) {
    this.#max = max;
  }

  /** One at a time. */
  begin(): SeriesRound {
    const seen = new Map<unknown, Counts>();
    const [other, total] = [this.#other, this.#total];
    let unlisted = 0;
    for (const sums of [...this.#listed.values(), other, total]) sums.begin();
    return {
      add: (row) => {
        const listed = this.#sumsOf(row);
        if (listed === null) unlisted += 1;
        const sums = listed ?? other;
        sums.saw(row, listed !== null);
        total.open(row);
        // Members of a group share what counts: it is told under the first.
        if (row.source === null || seen.has(row.source)) return;
        const before = this.#seen.get(row.source) ?? NOTHING;
        seen.set(row.source, copyOf(row.counts));
        sums.rise(before, row.counts);
        total.rise(before, row.counts);
      },
      end: () => {
        this.#seen = seen;
        for (const [key, sums] of this.#listed) if (!sums.isPresent) this.#listed.delete(key);
        const series = [...this.#listed.values(), ...(other.isPresent ? [other] : [])].map((sums) => sums.told());
        return { series, unlisted, total: total.counted() };
      },
    };
  }

  /** Null: it has no series of its own. */
  #sumsOf({ forward, device }: SeriesRow): Sums | null {
    const key = `${device}\0${forward}`;
    const present = this.#listed.get(key);
    if (present !== undefined) return present;
    if (this.#listed.size >= this.#max) return null;
    const made = new Sums(forward, device);
    this.#listed.set(key, made);
    return made;
  }
}

export interface SeriesRound {
  /** Every forward there is, each once. */
  add(row: SeriesRow): void;
  end(): SeriesReport;
}

const NOTHING: Counts = { visitorsTotal: 0, bytesIn: 0, bytesOut: 0, refusedTotal: 0, datagramsDropped: 0 };

function copyOf({ visitorsTotal, bytesIn, bytesOut, refusedTotal, datagramsDropped }: Counts): Counts {
  return { visitorsTotal, bytesIn, bytesOut, refusedTotal, datagramsDropped };
}

/** What came since: all of it, when whatever counts began again. */
function rise(before: number, now: number): number {
  return now < before ? now : now - before;
}

class Sums {
  isPresent = false;
  #visitorsTotal = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #refusedTotal = 0;
  #datagramsDropped = 0;
  #visitorsOpen = 0;
  #isUp: boolean | null = null;
  #answerMs: Series["answerMs"] = null;

  constructor(
    readonly forward: string,
    readonly device: string,
  ) {}

  begin(): void {
    this.isPresent = false;
    this.#visitorsOpen = 0;
    this.#isUp = null;
    this.#answerMs = null;
  }

  saw(row: SeriesRow, isListed: boolean): void {
    this.isPresent = true;
    this.open(row);
    if (!isListed) return;
    // Two forwards of two accounts may have the same labels: up is when both are.
    this.#isUp = row.isUp && this.#isUp !== false;
    this.#answerMs ??= row.answerMs();
  }

  open({ visitorsOpen }: SeriesRow): void {
    this.#visitorsOpen += visitorsOpen;
  }

  rise(before: Counts, now: Counts): void {
    this.#visitorsTotal += rise(before.visitorsTotal, now.visitorsTotal);
    this.#bytesIn += rise(before.bytesIn, now.bytesIn);
    this.#bytesOut += rise(before.bytesOut, now.bytesOut);
    this.#refusedTotal += rise(before.refusedTotal, now.refusedTotal);
    this.#datagramsDropped += rise(before.datagramsDropped, now.datagramsDropped);
  }

  told(): Series {
    return {
      forward: this.forward,
      device: this.device,
      ...this.counted(),
      isUp: this.#isUp,
      answerMs: this.#answerMs,
    };
  }

  counted(): Counts & { readonly visitorsOpen: number } {
    return {
      visitorsTotal: this.#visitorsTotal,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      refusedTotal: this.#refusedTotal,
      datagramsDropped: this.#datagramsDropped,
      visitorsOpen: this.#visitorsOpen,
    };
  }
}
