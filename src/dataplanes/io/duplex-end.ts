import type { Duplex } from "node:stream";
import type { ReasonName } from "../../wire/reason.ts";
import type { ByteEnd, ByteSink } from "./ends.ts";
import { PausedReading } from "./paused-reading.ts";
import { SILENT_SINK } from "./silent-sink.ts";

/** A stream of Node's, which is open, as a ByteEnd: what its TLS has decrypted, to join. */
export class DuplexEnd implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  readonly #stream: Duplex;
  readonly #reading: PausedReading;
  #reason: ReasonName | null = null;
  #ended = false;
  #closed = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#reading = new PausedReading(stream);
    stream.on("data", (bytes: Uint8Array) => this.sink.onData(bytes));
    stream.on("drain", () => this.sink.onDrain(stream.writableLength));
    stream.on("end", () => this.#peerEnded());
    stream.on("error", () => {
      this.#reason ??= "reset";
    });
    stream.on("close", () => this.#finish());
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || this.#stream.writableEnded) return 0;
    // A copy: what the stream does not take now it keeps.
    return this.#stream.write(Buffer.from(bytes)) ? 0 : this.#stream.writableLength;
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
    // A stream that closed before the peer's end was cut.
    if (!this.#ended) this.#reason ??= "reset";
    this.#closed = true;
    const { sink } = this;
    this.sink = SILENT_SINK;
    sink.onClose(this.#reason);
  }
}
