import { Duplex } from "node:stream";
import type { ReasonName } from "../../wire/reason.ts";
import { type ByteEnd, type ByteSink, HOLD_BYTES } from "./ends.ts";
import { PAUSE_ABOVE_BYTES, RESUME_AT_BYTES } from "./paused-reading.ts";

/** A ByteEnd as a stream of Node's, for its TLS and HTTP/2: this is the end's sink from then on. */
export class EndDuplex extends Duplex implements ByteSink {
  readonly #end: ByteEnd;
  #closed = false;
  #written: ((error?: Error | null) => void) | null = null;

  constructor(end: ByteEnd) {
    super({ allowHalfOpen: true });
    this.#end = end;
    end.sink = this;
    // Whoever uses the stream hears of it there; here it must not be nobody.
    this.on("error", () => undefined);
  }

  onOpen(): void {
    this.emit("connect");
  }

  onData(bytes: Uint8Array): void {
    // A copy: the buffer is reused.
    if (!this.push(Buffer.from(bytes))) this.#end.backlog(HOLD_BYTES);
  }

  onDrain(queuedBytes: number): void {
    if (queuedBytes > RESUME_AT_BYTES) return;
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  onEnd(): void {
    this.push(null);
  }

  onClose(reason: ReasonName | null): void {
    this.#closed = true;
    if (reason === null) this.destroy();
    else this.destroy(new Error(reason));
  }

  override _read(): void {
    this.#end.backlog(0);
  }

  /** See ByteEnd. */
  keepAlive(): void {
    this.#end.keepAlive?.();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    if (this.#end.write(chunk) <= PAUSE_ABOVE_BYTES) written();
    else this.#written = written;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#end.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const written = this.#written;
    this.#written = null;
    if (!this.#closed) {
      this.#closed = true;
      // What both sides have ended is over; anything else is cut.
      if (!(this.readableEnded && this.writableFinished)) this.#end.reset("reset");
    }
    written?.(error);
    done(error);
  }
}
