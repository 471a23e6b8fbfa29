import { Duplex } from "node:stream";
import type { H2Conduct, Misconduct } from "../../core/names/h2-conduct.ts";
import { type ByteEnd, type ByteSink, HOLD_BYTES } from "../../dataplanes/io/ends.ts";
import { FrameReader } from "../../wire/http2/frames.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { Clients, Impatient } from "../proxy/clients.ts";
import type { H2Outlet, OutletsWire } from "./h2-outlet.ts";
import { H2Turn } from "./h2-turn.ts";

/** Of TLS (RFC 8446 §5.1). A record, and a call of the system, for each frame cost a third of the requests a second. */
const RECORD_BYTES = 16_384;

/** What the system has to send to a visitor when all has left here, takes it no longer. */
const FAREWELL_MS = 75_000;

export interface H2WireOptions {
  /** Inside the visitor's TLS. */
  readonly client: ByteEnd;
  readonly clients: Clients;
  readonly conduct: H2Conduct;
  nowMs(): number;
  /** Nothing of what it came with is read. */
  misbehaved(misconduct: Misconduct): void;
  /** The visitor has gone. */
  left(): void;
}

/**
 * What a visitor's HTTP/2 is spoken over: its frames are counted before Bun's parser has them, because that does a whole
 * read's work (thousands of requests that are cancelled behind each other: 1.4 s) before anybody else's turn. And it knows
 * what waits for the visitor: Bun 1.4.5 writes on, and takes no notice of a stream that is full.
 */
export class H2Wire extends Duplex implements OutletsWire, ByteSink {
  /** Of its streams. */
  readonly outlets = new Set<H2Outlet>();
  readonly #options: H2WireOptions;
  readonly #frames = new FrameReader();
  #misbehaves = false;
  #goneBytes = 0;
  #queuedBytes = 0;
  #isClosed = false;
  /** It is over, and the visitor has yet to take the rest. */
  readonly #leaving: Impatient = { expired: () => this.#overdue(), closed: () => this.cut("shutdown") };
  /** Frames of this turn of the event loop. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  readonly #turn = new H2Turn(this, () => this.#flush());

  constructor(options: H2WireOptions) {
    super({ allowHalfOpen: true });
    this.#options = options;
    options.client.sink = this;
    this.on("error", () => undefined);
  }

  /** Of content: what had a window. */
  get passedBytes(): number {
    let bytes = this.#goneBytes;
    for (const outlet of this.outlets) bytes += outlet.passedBytes;
    return bytes;
  }

  /** A stream is over. */
  forget(outlet: H2Outlet): void {
    if (this.outlets.delete(outlet)) this.#goneBytes += outlet.passedBytes;
  }

  /** Of all its streams, beside what waits in each for its window. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  wrote(): void {
    this.#turn.wrote();
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    if (this.#misbehaves || this.destroyed) return;
    const { conduct, nowMs, client } = this.#options;
    const now = nowMs();
    let misconduct: Misconduct | null = null;
    conduct.beginRead();
    this.#frames.feed(bytes, (head) => {
      misconduct = conduct.frame(head, now);
      return misconduct === null;
    });
    if (misconduct !== null) {
      this.#misbehaves = true;
      this.#options.misbehaved(misconduct);
      // A copy: the buffer is reused.
    } else if (!this.push(Buffer.from(bytes))) client.backlog(HOLD_BYTES);
  }

  onDrain(queuedBytes: number): void {
    this.#queuedBytes = queuedBytes;
    for (const outlet of [...this.outlets]) outlet.drained();
  }

  onEnd(): void {
    this.push(null);
  }

  onClose(_reason: ReasonName | null): void {
    this.#isClosed = true;
    this.#queuedBytes = 0;
    this.#options.clients.remove(this.#leaving);
    this.destroy();
    this.#options.left();
  }

  /** Whoever takes nothing of what waits here is sent away before (SlowReaders). */
  #overdue(): void {
    if (this.#queuedBytes > 0) this.#options.clients.add(this.#leaving, FAREWELL_MS);
    else this.cut("idle");
  }

  /** What waits for the visitor is for nobody. */
  cut(reason: ReasonName): void {
    this.#flush();
    this.#options.client.reset(reason);
  }

  override _read(): void {
    this.#options.client.backlog(0);
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    if (this.#heldBytes + chunk.length >= RECORD_BYTES) {
      this.#flush();
      this.#send(chunk);
    } else {
      this.wrote();
      // A copy: it is kept beyond this call.
      this.#held.push(Buffer.from(chunk));
      this.#heldBytes += chunk.length;
    }
    written();
  }

  #flush(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    if (held.length > 0) this.#send(Buffer.concat(held));
  }

  #send(bytes: Uint8Array): void {
    this.#queuedBytes = this.#options.client.write(bytes);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#flush();
    this.#options.client.end();
    done();
  }

  /** The session is over: what the visitor has not taken yet it still gets. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { client, clients } = this.#options;
    this.#flush();
    if (!this.#isClosed) {
      clients.add(this.#leaving, FAREWELL_MS);
      client.end();
      // Reading may be paused; what it still says is read and forgotten.
      client.backlog(0);
    }
    done(error);
  }
}
