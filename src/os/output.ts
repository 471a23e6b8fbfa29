import { errorCode } from "./errors.ts";

/** What is needed of `process.stdout` and its like. */
export interface OutputStream {
  write(text: string, done: (error?: Error | null) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/**
 * A standard stream. To a pipe Bun writes 64 KiB at once, and the rest as it is read: a process that ends before `flushed`
 * cuts it short. (The callback of an empty write comes too early, so each write's own is waited for.)
 */
export class Output {
  readonly #stream: OutputStream;
  readonly #onFailure: () => void;
  #writing = 0;
  #idle = Promise.withResolvers<void>();
  #failure: unknown = null;

  /** `onFailure`: once, when nothing more can be written. */
  constructor(stream: OutputStream, onFailure: () => void = () => {}) {
    this.#stream = stream;
    this.#onFailure = onFailure;
    // The write's callback tells, too; without a listener it would be an uncaught exception.
    stream.on("error", (error) => this.#fail(error));
  }

  write(text: string): void {
    if (this.#failure !== null) return;
    this.#writing++;
    this.#stream.write(text, (error) => {
      this.#writing--;
      if (error) this.#fail(error);
      if (this.#writing === 0) this.#idle.resolve();
    });
  }

  /** Resolves when all that was written is with the reader, or there is none any more. */
  async flushed(): Promise<void> {
    while (this.#writing > 0 && this.#failure === null) {
      this.#idle = Promise.withResolvers();
      await this.#idle.promise;
    }
  }

  /** Why not all was written: a full disk. A reader that wanted no more (`| head`) is none. */
  get lost(): unknown {
    return errorCode(this.#failure) === "EPIPE" ? null : this.#failure;
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#idle.resolve();
    this.#onFailure();
  }
}
