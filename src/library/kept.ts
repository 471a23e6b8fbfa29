import { EventQueue } from "../roles/event-queue.ts";
import type { HatchwayError } from "./error.ts";

/** Of a reader who does not come to it. */
const MAX_WAITING_EVENTS = 64;

/** Something that is open until it is closed: by the app, by a signal, or by what it depends on (`fail`). */
export abstract class Kept<Event> {
  readonly #readers = new Set<EventQueue<Event>>();
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => void this.close();
  readonly #after: (() => Promise<void>)[] = [];
  #ending: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  /** Set before anything of the closing happens, within the first call. */
  #isClosing = false;
  #failure: HatchwayError | null = null;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) queueMicrotask(this.#onAbort);
  }

  /** Ends what it is made of. Never rejects. */
  protected abstract end(): Promise<void>;

  protected get isClosed(): boolean {
    return this.#isClosing;
  }

  /** Why it was closed by somebody else than the app. */
  protected get failure(): HatchwayError | null {
    return this.#failure;
  }

  async *events(): AsyncGenerator<Event, void, undefined> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#isClosing) return;
    const queue = new EventQueue<Event>(() => false, MAX_WAITING_EVENTS);
    this.#readers.add(queue);
    try {
      yield* queue;
    } finally {
      this.#readers.delete(queue);
    }
  }

  /** `act` is what closing it brings with it. */
  alsoOnClose(act: () => Promise<void>): void {
    this.#after.push(act);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes it, and does not wait for what closing it brings with it. */
  ended(): Promise<void> {
    void this.close();
    return this.#ending ?? Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** It is over, by no doing of the app's: readers are thrown why. */
  fail(error: HatchwayError): void {
    if (this.#isClosing) return;
    this.#failure = error;
    for (const reader of this.#readers) reader.fail(error);
    void this.close();
  }

  protected tell(event: Event): void {
    if (this.#isClosing) return;
    for (const reader of this.#readers) reader.push(event);
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#ending = this.end();
    await this.#ending;
    for (const reader of this.#readers) reader.end();
    for (const act of this.#after) await act();
  }
}
