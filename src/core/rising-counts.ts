/** Counts as somebody else tells them, who may begin again from zero: here they never go down. */
export class RisingCounts {
  readonly #seen = new Map<string, number>();
  readonly #total = new Map<string, number>();

  /** All counts as they are told now; an absent one is zero. */
  saw(counts: Readonly<Record<string, number>>): void {
    for (const key of this.#seen.keys()) if (!(key in counts)) this.#seen.delete(key);
    for (const [key, count] of Object.entries(counts)) {
      const seen = this.#seen.get(key) ?? 0;
      this.#total.set(key, (this.#total.get(key) ?? 0) + (count < seen ? count : count - seen));
      this.#seen.set(key, count);
    }
  }

  total(): Record<string, number> {
    return Object.fromEntries(this.#total);
  }
}
