import type { Duplex } from "node:stream";
import type { ReasonName } from "../../wire/reason.ts";
import type { ByteEnd, ByteSink } from "./ends.ts";
import { PausedReading } from "./paused-reading.ts";
import { SILENT_SINK } from "./silent-sink.ts";

/**
 * The stream below one, where that takes all that is written to it and says so at once: Node's TLS over a stream does, on
 * Bun 1.4.5. What a slow reader has not taken waits below, and only there it is known how much it is.
 */
export interface StreamBelow {
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  on(event: "drain", listener: () => void): unknown;
  keepAlive(): void;
}

/** A stream of Node's, which is open, as a ByteEnd: what its TLS has decrypted, to join. */
export class DuplexEnd implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  readonly #stream: Duplex;
  readonly #below: StreamBelow | null;
  readonly #reading: PausedReading;
  #reason: ReasonName | null = null;
  #ended = false;
  #closed = false;

  constructor(stream: Duplex, below: StreamBelow | null = null) {
    this.#stream = stream;
    this.#below = below;
    this.#reading = new PausedReading(stream);
    stream.on("data", (bytes: Uint8Array) => this.sink.onData(bytes));
    stream.on("drain", () => this.sink.onDrain(this.#queuedBytes));
    below?.on("drain", () => this.sink.onDrain(this.#queuedBytes));
    stream.on("end", () => this.#peerEnded());
    stream.on("error", () => {
      this.#reason ??= "reset";
    });
    stream.on("close", () => this.#finish());
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || this.#stream.writableEnded) return 0;
    // A copy: what the stream does not take now it keeps.
    this.#stream.write(Buffer.from(bytes));
    return this.#queuedBytes;
  }

  get #queuedBytes(): number {
    const { writableNeedDrain, writableLength } = this.#stream;
    const own = writableNeedDrain ? writableLength : 0;
    return own + (this.#below?.writableNeedDrain === true ? this.#below.writableLength : 0);
  }

  keepAlive(): void {
    this.#below?.keepAlive();
  }

  backlog(queuedBytes: number): void {
    this.#reading.backlog(queuedBytes);
  }

  end(): void {
    if (!this.#closed && !this.#stream.writableEnded) this.#stream.end();
  }

  reset(reason: ReasonName): void {
    if (this.#closed) return;
    this.#reason ??= reason;
    this.#stream.destroy();
    this.#finish();
  }

  #peerEnded(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.sink.onEnd();
  }

  #finish(): void {
    if (this.#closed) return;
    // A stream that closed before both ends was cut: what comes for it from the other side is for nobody.
    if (!this.#ended || !this.#stream.writableFinished) this.#reason ??= "reset";
    this.#closed = true;
    const { sink } = this;
    this.sink = SILENT_SINK;
    sink.onClose(this.#reason);
  }
}
