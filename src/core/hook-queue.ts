import type { ForwardEvent } from "./events.ts";

export interface QueuedEvent {
  readonly event: ForwardEvent;
  /** Events before it, since the last one delivered, that the hook did not get: dropped, or given up. */
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

  /** True when the oldest had to go. */
  push(event: ForwardEvent): boolean {
    this.#waiting.push(event);
    if (this.#waiting.length <= this.#most) return false;
    this.#waiting.shift();
    this.#missed++;
    return true;
  }

  take(): QueuedEvent | null {
    const event = this.#waiting.shift();
    if (event === undefined) return null;
    const missed = this.#missed;
    this.#missed = 0;
    return { event, missed };
  }

  /** The event that was taken is given up: the next one tells so. */
  givenUp({ missed }: QueuedEvent): void {
    this.#missed += missed + 1;
  }
}
