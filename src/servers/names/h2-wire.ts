import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { H2Conduct, Misconduct } from "../../core/names/h2-conduct.ts";
import type { EndDuplex } from "../../dataplanes/io/end-duplex.ts";
import { FrameReader } from "../../wire/http2/frames.ts";
import type { H2Outlet, OutletsWire } from "./h2-outlet.ts";
import { H2Turn } from "./h2-turn.ts";

/** Of TLS (RFC 8446 §5.1). A record, and a call of the system, for each frame cost a third of the requests a second. */
const RECORD_BYTES = 16_384;

export interface H2WireOptions {
  /** What TLS has decrypted. */
  readonly secured: TLSSocket;
  /** Below the TLS: there waits what the visitor has not taken. */
  readonly below: EndDuplex;
  readonly conduct: H2Conduct;
  nowMs(): number;
  /** Nothing of what it came with is read. */
  misbehaved(misconduct: Misconduct): void;
}

/**
 * What a visitor's HTTP/2 is spoken over: its frames are counted before Bun's parser has them, because that does a whole
 * read's work (thousands of requests that are cancelled behind each other: 1.4 s) before anybody else's turn. And it knows
 * what waits for the visitor: Bun 1.4.5 writes on, and takes no notice of a stream that is full.
 */
export class H2Wire extends Duplex implements OutletsWire {
  /** Of its streams. */
  readonly outlets = new Set<H2Outlet>();
  readonly #options: H2WireOptions;
  readonly #frames = new FrameReader();
  #misbehaves = false;
  #goneBytes = 0;
  /** Frames of this turn of the event loop. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  readonly #turn = new H2Turn(this, () => this.#flush());

  constructor(options: H2WireOptions) {
    super({ allowHalfOpen: true });
    this.#options = options;
    const { secured, below } = options;
    secured.on("data", (bytes: Uint8Array) => this.#take(bytes));
    secured.on("end", () => this.push(null));
    secured.on("error", () => undefined);
    secured.on("close", () => this.destroy());
    below.on("drain", () => {
      for (const outlet of [...this.outlets]) outlet.drained();
    });
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
    const { below } = this.#options;
    return below.writableNeedDrain ? below.writableLength : 0;
  }

  wrote(): void {
    this.#turn.wrote();
  }

  #take(bytes: Uint8Array): void {
    if (this.#misbehaves) return;
    const { conduct, nowMs, secured } = this.#options;
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
    } else if (!this.push(bytes)) secured.pause();
  }

  override _read(): void {
    this.#options.secured.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    if (this.#heldBytes + chunk.length >= RECORD_BYTES) {
      this.#flush();
      this.#options.secured.write(chunk);
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
    if (held.length > 0) this.#options.secured.write(Buffer.concat(held));
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#flush();
    this.#options.secured.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Its last word is why.
    this.#flush();
    this.#options.secured.destroy();
    done(error);
  }
}
