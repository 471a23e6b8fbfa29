/** A reader that can stand still: a socket, or a carrier. */
export interface Reader {
  /** Stop reading after what was just read. */
  standStill(): void;
  goOn(): void;
}

/** A read of this size filled the buffer (Bun 1.4.5: 512 KiB): more waits behind it. */
const FULL_READ_BYTES = 256 * 1024;
/** Full readers that go on in one turn of the event loop: what else is ready waits for one such read at most. */
const READERS_A_TURN = 1;

/**
 * Lets bulk readers go on in turns. Bun reads a busy socket up to ten times 512 KiB before it looks at the next one
 * (strace: eight bulk streams made turns of 40 MB, and a keystroke waited 65 ms for its own); a reader that stands
 * still after a full read ends that at once.
 */
export class Turnstile {
  readonly #waiting: Reader[] = [];
  #scheduled = false;
  readonly #turn = () => {
    this.#scheduled = false;
    for (let count = 0; count < READERS_A_TURN; count++) this.#waiting.shift()?.goOn();
    this.#schedule();
  };

  /** Bulk readers are taking turns now. */
  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** Call after each read of `reader`. */
  passed(reader: Reader, readBytes: number): void {
    if (readBytes < FULL_READ_BYTES) return;
    reader.standStill();
    this.#waiting.push(reader);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }
}
