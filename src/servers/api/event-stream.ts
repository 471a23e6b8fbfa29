import type { After } from "../../os/timers.ts";
import type { z } from "../../wire/zod.ts";
import { EVENTS_TYPE } from "./protocol.ts";

/** Between comments, and between looks at whether the credential still holds. */
export const HEARTBEAT_MS = 15_000;
const COMMENT = ":\n\n";

/** What a stream tells: `event` is its kind. */
export interface StreamedEvent {
  readonly event: string;
}

/** What happens from some moment on. */
export interface Following<T> extends AsyncIterable<T> {
  /** Resolves at that moment: nothing that happens later is missed. Absent: it has come. */
  readonly ready?: Promise<void>;
}

export interface EventStreamOptions {
  readonly after: After;
  /** Of whoever asks, and of the server. */
  readonly signal: AbortSignal;
  /** Of what is told: what it does not name never leaves. */
  readonly schema: z.ZodType;
  events(signal: AbortSignal): Following<StreamedEvent>;
  /** Whether the credential is as good as it was. */
  stillGood(): Promise<boolean>;
  /** Once, whatever ended it. */
  onEnd(): void;
  onUnexpected(error: unknown): void;
}

export interface EventStream {
  readonly response: Response;
  /** Resolves when nothing is missed from now on, or the stream has ended: then it is time to answer. Never rejects. */
  readonly opened: Promise<void>;
  /** Looks now whether the credential still holds. Never rejects. */
  recheck(): Promise<void>;
}

/** `text/event-stream` (HTML, "Server-sent events"). */
export function eventStream(options: EventStreamOptions): EventStream {
  const source = new EventSource(options);
  const body = new ReadableStream<Uint8Array>(
    { start: (controller) => source.begin(controller), pull: () => source.taken(), cancel: () => source.end() },
    { highWaterMark: 0 },
  );
  // Proxies that buffer answers would hold events back (nginx's name for it).
  const response = new Response(body, { headers: { "content-type": EVENTS_TYPE, "x-accel-buffering": "no" } });
  return { response, opened: source.opened, recheck: () => source.recheck() };
}

class EventSource {
  readonly #options: EventStreamOptions;
  readonly #ended = new AbortController();
  readonly #opened = Promise.withResolvers<void>();
  readonly #encoder = new TextEncoder();
  readonly #end = (): void => this.end();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #cancelHeartbeat: () => void = () => {};
  /** Whoever waits until what was sent has been taken. */
  #wake: () => void = () => {};
  /** At the last heartbeat something was waiting for the reader, and nothing has been taken since. */
  #stalled = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  begin(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { signal } = this.#options;
    this.#controller = controller;
    signal.addEventListener("abort", this.#end, { once: true });
    if (signal.aborted) {
      this.end();
      return;
    }
    // Tells the client, and proxies, that the stream is there.
    this.#send(COMMENT);
    this.#beatLater();
    void this.#follow();
  }

  /** The reader has taken what was sent, and waits for more. */
  taken(): void {
    this.#stalled = false;
    this.#wake();
  }

  end(): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#opened.resolve();
    this.#wake();
    this.#cancelHeartbeat();
    this.#options.signal.removeEventListener("abort", this.#end);
    try {
      this.#controller?.close();
    } catch {
      // The reader has cancelled it: it is closed.
    }
    this.#options.onEnd();
  }

  async recheck(): Promise<void> {
    try {
      if (await this.#options.stillGood()) return;
    } catch (error) {
      this.#options.onUnexpected(error);
    }
    this.end();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ended;
    try {
      const events = this.#options.events(signal);
      await events.ready;
      this.#opened.resolve();
      for await (const event of events) {
        if (signal.aborted) return;
        const value = this.#options.schema.parse(event);
        this.#send(`event: ${event.event}\ndata: ${JSON.stringify(value)}\n\n`);
        // The next is asked for when there is room: a slow reader is told less often, and nothing piles up here.
        await this.#untilTaken();
      }
    } catch (error) {
      if (!signal.aborted) this.#options.onUnexpected(error);
    } finally {
      this.end();
    }
  }

  #beatLater(): void {
    this.#cancelHeartbeat = this.#options.after(HEARTBEAT_MS, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    await this.recheck();
    if (this.#ended.signal.aborted) return;
    if (!this.#isWaiting()) this.#send(COMMENT);
    else if (this.#stalled) return this.end();
    else this.#stalled = true;
    this.#beatLater();
  }

  #isWaiting(): boolean {
    return (this.#controller?.desiredSize ?? 0) < 0;
  }

  async #untilTaken(): Promise<void> {
    if (!this.#isWaiting() || this.#ended.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
  }

  #send(text: string): void {
    if (this.#ended.signal.aborted) return;
    this.#controller?.enqueue(this.#encoder.encode(text));
  }
}
