import { sourceKey } from "../../wire/address.ts";

/** How many requests of a source are answered at the same time; IPv6 sources are counted by their network. */
export class InFlight {
  readonly #counts = new Map<string, number>();

  constructor(private readonly most: number) {}

  get sources(): number {
    return this.#counts.size;
  }

  /** What ends it, to be called once; null = there are too many. */
  enter(address: string): (() => void) | null {
    const key = sourceKey(address);
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
