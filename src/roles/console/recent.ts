/** A reading that costs something, shared by all who ask for it within `maxAgeMs`, and for as long as it takes. */
export class Recent<T> {
  readonly #read: () => Promise<T>;
  readonly #maxAgeMs: number;
  readonly #nowMs: () => number;
  #last: { readonly atMs: number; readonly value: Promise<T>; isRead: boolean } | null = null;

  /** `nowMs`: a monotonic clock. */
  constructor(read: () => Promise<T>, maxAgeMs: number, nowMs: () => number) {
    this.#read = read;
    this.#maxAgeMs = maxAgeMs;
    this.#nowMs = nowMs;
  }

  get(): Promise<T> {
    const nowMs = this.#nowMs();
    const before = this.#last;
    if (before !== null && (!before.isRead || nowMs - before.atMs < this.#maxAgeMs)) return before.value;
    const value = this.#read();
    const last = { atMs: nowMs, value, isRead: false };
    this.#last = last;
    value.then(
      () => {
        last.isRead = true;
      },
      // Whoever asked hears of a failure; the next one to ask reads again.
      () => this.#drop(last),
    );
    return value;
  }

  /** What was read, or is being read, is of the past: who asks next gets another. */
  forget(): void {
    this.#last = null;
  }

  #drop(last: object): void {
    if (this.#last === last) this.#last = null;
  }
}
