import type { Counters } from "./control.ts";
import { NO_COUNTERS, sumCounters } from "./views.ts";

/** What forwards counted that are gone, so that totals never go down. A visit that is being cut is counted to its end. */
export class RetiredCounters {
  readonly #leaving = new Set<() => Counters>();
  #gone: Counters = NO_COUNTERS;

  /** `read` is asked until no visit is open any more. */
  add(read: () => Counters): void {
    this.#leaving.add(read);
    this.total();
  }

  total(): Counters {
    const leaving: Counters[] = [];
    for (const read of this.#leaving) {
      const counters = read();
      if (counters.visitorsOpen > 0) leaving.push(counters);
      else {
        this.#gone = sumCounters([this.#gone, counters]);
        this.#leaving.delete(read);
      }
    }
    return sumCounters([this.#gone, ...leaving]);
  }
}
