/**
 * Above this many bytes waiting on the other side a socket or stream is read no more, and at RESUME_AT_BYTES it goes on.
 * The distance keeps a visit from pausing and resuming (two epoll_ctl calls) at every partial write; on a fast link
 * thresholds from 0 to 1 MiB measured alike (11.2–12.1 Gbit/s), so these only bound what a stalled reader holds.
 */
export const PAUSE_ABOVE_BYTES = 256 * 1024;
export const RESUME_AT_BYTES = 64 * 1024;

/** Reads a stream of Node's, or not, by the backlog of whoever takes what it reads. */
export class PausedReading {
  readonly #stream: Readonly<Record<"pause" | "resume", () => unknown>>;
  #paused = false;

  constructor(stream: Readonly<Record<"pause" | "resume", () => unknown>>) {
    this.#stream = stream;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  backlog(queuedBytes: number): void {
    if (queuedBytes > PAUSE_ABOVE_BYTES && !this.#paused) {
      this.#paused = true;
      this.#stream.pause();
    } else if (queuedBytes <= RESUME_AT_BYTES && this.#paused) {
      this.#paused = false;
      this.#stream.resume();
    }
  }
}
