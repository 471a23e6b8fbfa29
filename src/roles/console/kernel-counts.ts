import type { HeldMapping } from "../../core/mapping/book.ts";
import type { Counters } from "../control.ts";
import { keyOf } from "../gateway/entries.ts";
import type { Counted } from "./traffic.ts";

type Counts = Pick<Counters, "bytesIn" | "bytesOut" | "visitorsTotal">;

interface Known {
  /** Of the kernel's count, what is not to be counted here. */
  readonly base: Counts;
  last: Counts;
  readonly counted: { -readonly [K in keyof Counted]: Counted[K] };
}

const NOTHING: Counts = { bytesIn: 0, bytesOut: 0, visitorsTotal: 0 };

/**
 * What the kernel counted for each mapping since the first reading, as counters that only grow: an object is one entry's, and
 * one whose count began anew (its ports or its client changed, the table was made again) has another. What was there at the
 * first reading was counted by the run before: the kernel goes on when a gateway is started again.
 */
export class KernelCounts {
  readonly #known = new Map<string, Known>();
  #isFirst = true;

  /** What was read just now of all that is held. */
  read(all: Iterable<readonly [HeldMapping, Counts]>): void {
    const present = new Set<string>();
    for (const [held, now] of all) {
      const key = keyOf(held);
      present.add(key);
      const known = this.#known.get(key);
      if (known === undefined || beganAnew(known.last, now)) {
        this.#known.set(key, begun(this.#isFirst ? now : NOTHING, now));
        continue;
      }
      known.last = now;
      Object.assign(known.counted, difference(now, known.base));
    }
    for (const key of [...this.#known.keys()]) if (!present.has(key)) this.#known.delete(key);
    this.#isFirst = false;
  }

  /** Null = nothing is known of it. */
  of(held: HeldMapping): Counted | null {
    return this.#known.get(keyOf(held))?.counted ?? null;
  }
}

function begun(base: Counts, now: Counts): Known {
  return { base, last: now, counted: difference(now, base) };
}

function beganAnew(before: Counts, now: Counts): boolean {
  return now.bytesIn < before.bytesIn || now.bytesOut < before.bytesOut || now.visitorsTotal < before.visitorsTotal;
}

function difference(now: Counts, base: Counts): Counts {
  return {
    bytesIn: now.bytesIn - base.bytesIn,
    bytesOut: now.bytesOut - base.bytesOut,
    visitorsTotal: now.visitorsTotal - base.visitorsTotal,
  };
}
