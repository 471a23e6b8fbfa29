/** A reading that costs something, shared by all who ask for it within `maxAgeMs`. */
export class Recent<T> {
  readonly #read: () => Promise<T>;
  readonly #maxAgeMs: number;
  readonly #nowMs: () => number;
  #last: { readonly atMs: number; readonly value: Promise<T> } | null = null;

  /** `nowMs`: a monotonic clock. */
  constructor(read: () => Promise<T>, maxAgeMs: number, nowMs: () => number) {
    this.#read = read;
    this.#maxAgeMs = maxAgeMs;
    this.#nowMs = nowMs;
  }

  get(): Promise<T> {
    const nowMs = this.#nowMs();
    if (this.#last !== null && nowMs - this.#last.atMs < this.#maxAgeMs) return this.#last.value;
    const value = this.#read();
    const last = { atMs: nowMs, value };
    this.#last = last;
    // Whoever asked hears of a failure; the next one to ask reads again.
    value.catch(() => {
      if (this.#last === last) this.#last = null;
    });
    return value;
  }
}
