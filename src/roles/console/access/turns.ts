export interface TurnLimits {
  /** At once, of all. */
  readonly atOnce: number;
  /** Waiting or at it, of all and of one key. */
  readonly most: number;
  readonly mostPerKey: number;
}

/**
 * Work that is dear, one at a time for each key and a few at a time for all, in the order of asking. So whoever sends a thousand
 * guesses side by side has each looked at after the one before has had its penalty, and memory and processor stay bounded.
 */
export class Turns {
  readonly #limits: TurnLimits;
  /** How many of each key wait or are at it. */
  readonly #counts = new Map<string, number>();
  readonly #busy = new Set<string>();
  /** Oldest first. */
  readonly #waiting: { readonly key: string; readonly go: () => void }[] = [];

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Null: too many wait already, and the work was not begun. */
  async run<T>(key: string, work: () => Promise<T>): Promise<{ readonly value: T } | null> {
    const { most, mostPerKey } = this.#limits;
    const ofKey = this.#counts.get(key) ?? 0;
    if (ofKey >= mostPerKey || this.#waiting.length + this.#busy.size >= most) return null;
    this.#counts.set(key, ofKey + 1);
    await new Promise<void>((resolve) => {
      this.#waiting.push({ key, go: resolve });
      this.#next();
    });
    try {
      return { value: await work() };
    } finally {
      this.#busy.delete(key);
      const left = (this.#counts.get(key) ?? 1) - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
      this.#next();
    }
  }

  /** Lets begin whoever may. */
  #next(): void {
    while (this.#busy.size < this.#limits.atOnce) {
      const at = this.#waiting.findIndex(({ key }) => !this.#busy.has(key));
      const [chosen] = at < 0 ? [] : this.#waiting.splice(at, 1);
      if (chosen === undefined) return;
      this.#busy.add(chosen.key);
      chosen.go();
    }
  }
}
