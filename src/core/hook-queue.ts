import type { ForwardEvent } from "./events.ts";

export interface QueuedEvent {
  readonly event: ForwardEvent;
  /** Dropped before it since the last one taken. */
  readonly missed: number;
}

/** The events that wait for one hook, in their order. When it is full the oldest goes: what is now matters more. */
export class HookQueue {
  readonly #most: number;
  readonly #waiting: ForwardEvent[] = [];
  #missed = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#waiting.length;
  }

  push(event: ForwardEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length <= this.#most) return;
    this.#waiting.shift();
    this.#missed++;
  }

  take(): QueuedEvent | null {
    const event = this.#waiting.shift();
    if (event === undefined) return null;
    const missed = this.#missed;
    this.#missed = 0;
    return { event, missed };
  }
}
