/** What waits for a visitor who does not take it as fast as it comes. */
export interface SlowReader {
  readonly queuedBytes: number;
  /** What it took since it came. */
  readonly passedBytes: number;
}

export interface SlowReaderLimits {
  /** Who takes nothing for so long is sent away. */
  readonly stalledMs: number;
  /** What waits for all of them; above, those with the most are sent away. */
  readonly totalBytes: number;
}

/** A minute as nginx has it. The bytes are of all visitors together: each request may hold 256 KiB and more, and one visitor makes a hundred. */
export const SLOW_READERS: SlowReaderLimits = { stalledMs: 60_000, totalBytes: 128 * 1_024 * 1_024 };

interface Seen {
  readonly passedBytes: number;
  readonly sinceMs: number;
}

/** Which readers have to go, so that those who ask for much and take nothing do not fill the memory. */
export class SlowReaders<R extends SlowReader> {
  #seen = new Map<R, Seen>();

  constructor(readonly limits: SlowReaderLimits = SLOW_READERS) {}

  /** To be called now and then with all readers. O(n log n) only when there is too much. */
  sweep(readers: Iterable<R>, nowMs: number): R[] {
    const seen = new Map<R, Seen>();
    const out: R[] = [];
    const slow: { readonly reader: R; readonly bytes: number }[] = [];
    let totalBytes = 0;
    for (const reader of readers) {
      const { queuedBytes: bytes, passedBytes } = reader;
      if (bytes === 0) continue;
      const before = this.#seen.get(reader);
      const now = before?.passedBytes === passedBytes ? before : { passedBytes, sinceMs: nowMs };
      if (nowMs - now.sinceMs >= this.limits.stalledMs) {
        out.push(reader);
        continue;
      }
      seen.set(reader, now);
      slow.push({ reader, bytes });
      totalBytes += bytes;
    }
    this.#seen = seen;
    if (totalBytes <= this.limits.totalBytes) return out;
    for (const { reader, bytes } of slow.toSorted((a, b) => b.bytes - a.bytes)) {
      if (totalBytes <= this.limits.totalBytes) break;
      totalBytes -= bytes;
      out.push(reader);
    }
    return out;
  }
}
