/** So many at once, first come first served. */
export class Slots {
  readonly #waiting: (() => void)[] = [];
  #count: number;
  /** Below 0: so many more are inside than there are places by now. */
  #free: number;

  constructor(count: number) {
    this.#count = count;
    this.#free = count;
  }

  get count(): number {
    return this.#count;
  }

  /** Those who are inside stay. */
  resize(count: number): void {
    this.#free += count - this.#count;
    this.#count = count;
    while (this.#free > 0 && this.#waiting.length > 0) {
      this.#free--;
      this.#waiting.shift()?.();
    }
  }

  /** Resolves when there is a place, with what gives it back; with null when `signal` aborts before. */
  async enter(signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return null;
    if (this.#free > 0) this.#free--;
    else if (!(await this.#place(signal))) return null;
    return () => this.#leave();
  }

  #place(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const take = () => {
        signal.removeEventListener("abort", giveUp);
        resolve(true);
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        resolve(false);
      };
      this.#waiting.push(take);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** The place goes to the next in line, if there is one. */
  #leave(): void {
    const next = this.#free < 0 ? undefined : this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
