import type { After } from "../../os/timers.ts";
import type { z } from "../../wire/zod.ts";
import { EVENTS_TYPE } from "./protocol.ts";

/** Between comments, and between looks at whether the credential still holds. */
export const HEARTBEAT_MS = 15_000;
/** Events that may wait for a reader that does not read; then the stream ends, and the reader begins anew. */
const MAX_WAITING_CHUNKS = 1_024;
const COMMENT = ":\n\n";

/** What a stream tells: `event` is its kind. */
export interface StreamedEvent {
  readonly event: string;
}

export interface EventStreamOptions {
  readonly after: After;
  /** Of whoever asks, and of the server. */
  readonly signal: AbortSignal;
  /** Of what is told: what it does not name never leaves. */
  readonly schema: z.ZodType;
  events(signal: AbortSignal): AsyncIterable<StreamedEvent>;
  /** Whether the credential is as good as it was. */
  stillGood(): Promise<boolean>;
  /** Once, whatever ended it. */
  onEnd(): void;
  onUnexpected(error: unknown): void;
}

export interface EventStream {
  readonly response: Response;
  /** Looks now whether the credential still holds. Never rejects. */
  recheck(): Promise<void>;
}

/** `text/event-stream` (HTML, "Server-sent events"). */
export function eventStream(options: EventStreamOptions): EventStream {
  const source = new EventSource(options);
  const body = new ReadableStream<Uint8Array>(
    { start: (controller) => source.begin(controller), cancel: () => source.end() },
    { highWaterMark: 0 },
  );
  // Proxies that buffer answers would hold events back (nginx's name for it).
  const response = new Response(body, { headers: { "content-type": EVENTS_TYPE, "x-accel-buffering": "no" } });
  return { response, recheck: () => source.recheck() };
}

class EventSource {
  readonly #options: EventStreamOptions;
  readonly #ended = new AbortController();
  readonly #encoder = new TextEncoder();
  readonly #end = (): void => this.end();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #cancelHeartbeat: () => void = () => {};

  constructor(options: EventStreamOptions) {
    this.#options = options;
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

  end(): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
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
      for await (const event of this.#options.events(signal)) {
        if (signal.aborted) return;
        const value = this.#options.schema.parse(event);
        this.#send(`event: ${event.event}\ndata: ${JSON.stringify(value)}\n\n`);
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
    this.#send(COMMENT);
    this.#beatLater();
  }

  #send(text: string): void {
    const controller = this.#controller;
    if (controller === null || this.#ended.signal.aborted) return;
    const chunk = this.#encoder.encode(text);
    controller.enqueue(chunk);
    if ((controller.desiredSize ?? 0) < -MAX_WAITING_CHUNKS) this.end();
  }
}
