import type { ServerEpoch } from "../../core/mapping/epoch.ts";

export interface AnnouncerOptions {
  readonly epoch: ServerEpoch;
  /** Monotonic, the epoch's own clock. */
  nowMs(): number;
  /** Sends one announcement on every interface. */
  announce(): void;
}

/** Announces the server's epoch when it says so: one timer. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** At the start, and after the epoch was reset. */
  wake(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#closed) return;
    const { epoch, nowMs, announce } = this.#options;
    if (epoch.takeAnnouncement(nowMs())) announce();
    const nextMs = epoch.nextDeadlineMs();
    if (nextMs === null) return;
    this.#timer = setTimeout(() => this.wake(), Math.max(0, nextMs - nowMs()));
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    this.wake();
  }
}
