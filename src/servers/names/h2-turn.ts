import type { Duplex } from "node:stream";

/**
 * The end of a turn of the event loop in which something was written to streams of an HTTP/2 session over `below`.
 *
 * Bun 1.4.5 queues what is written to a stream while content of any other stream of its session waits for its window, and
 * looks at that queue when the other side says anything, or when the stream below has drained (oven-sh/bun#43422). Told of
 * that once in each such turn, it sends whatever has a window.
 */
export class H2Turn {
  #ends = false;

  constructor(
    readonly below: Duplex,
    readonly onEnd: () => void = () => undefined,
  ) {}

  wrote(): void {
    if (this.#ends) return;
    this.#ends = true;
    setImmediate(() => {
      this.#ends = false;
      this.below.emit("drain");
      this.onEnd();
    });
  }
}
