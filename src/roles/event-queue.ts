/** What those that wait weigh together at most, and what each weighs: the oldest go, and the newest stays. */
export interface Weight<T> {
  of(event: T): number;
  readonly max: number;
}

/** Events that wait for one reader, who takes them by `for await`. */
export class EventQueue<T> {
  readonly #replaces: (next: T, last: T) => boolean;
  readonly #maxWaiting: number;
  readonly #weight: Weight<T> | null;
  #waitingWeight = 0;
  readonly #waiting: T[] = [];
  #wake: (() => void) | null = null;
  #ended = false;
  #failure: unknown = null;

  /** `replaces`: whether `next` makes `last`, which nobody has taken yet, superfluous (a state, not a history). `maxWaiting`: the oldest go. */
  constructor(
    replaces: (next: T, last: T) => boolean = () => false,
    maxWaiting = Number.POSITIVE_INFINITY,
    weight: Weight<T> | null = null,
  ) {
    this.#replaces = replaces;
    this.#maxWaiting = maxWaiting;
    this.#weight = weight;
  }

  push(event: T): void {
    if (this.#ended) return;
    const last = this.#waiting.at(-1);
    if (last !== undefined && this.#replaces(event, last)) this.#count(this.#waiting.pop(), -1);
    this.#waiting.push(event);
    this.#count(event, 1);
    while (this.#isTooMuch) this.#count(this.#waiting.shift(), -1);
    this.#wake?.();
  }

  get #isTooMuch(): boolean {
    const { length } = this.#waiting;
    return (
      length > this.#maxWaiting || (length > 1 && this.#waitingWeight > (this.#weight?.max ?? Number.POSITIVE_INFINITY))
    );
  }

  #count(event: T | undefined, sign: 1 | -1): void {
    if (this.#weight !== null && event !== undefined) this.#waitingWeight += sign * this.#weight.of(event);
  }

  /** No more events; those that wait are still told. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Ends with what the reader is thrown. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const next = this.#waiting.shift();
      this.#count(next, -1);
      if (next !== undefined) yield next;
      else if (!this.#ended) await this.#more();
      else if (this.#failure !== null) throw this.#failure;
      else return;
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        resolve();
      };
    });
  }
}
