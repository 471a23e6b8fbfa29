/** How many things of a key are under way at the same time. */
export class AtOnce {
  readonly #counts = new Map<string, number>();

  constructor(private readonly most: number) {}

  /** Keys with something under way. */
  get size(): number {
    return this.#counts.size;
  }

  /** What ends it, to be called once; null = there are too many. */
  enter(key: string): (() => void) | null {
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.most) return null;
    this.#counts.set(key, count + 1);
    return () => {
      const left = (this.#counts.get(key) ?? 1) - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
    };
  }
}
