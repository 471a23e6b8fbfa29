/** Events that wait for one reader, who takes them by `for await`. */
export class EventQueue<T> {
  readonly #replaces: (next: T, last: T) => boolean;
  readonly #maxWaiting: number;
  readonly #waiting: T[] = [];
  #wake: (() => void) | null = null;
  #ended = false;
  #failure: unknown = null;

  /** `replaces`: whether `next` makes `last`, which nobody has taken yet, superfluous (a state, not a history). `maxWaiting`: the oldest go. */
  constructor(replaces: (next: T, last: T) => boolean = () => false, maxWaiting = Number.POSITIVE_INFINITY) {
    this.#replaces = replaces;
    this.#maxWaiting = maxWaiting;
  }

  push(event: T): void {
    if (this.#ended) return;
    const last = this.#waiting.at(-1);
    if (last !== undefined && this.#replaces(event, last)) this.#waiting.pop();
    this.#waiting.push(event);
    if (this.#waiting.length > this.#maxWaiting) this.#waiting.shift();
    this.#wake?.();
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
