import type { ServerHttp2Stream } from "node:http2";

/** A visitor's connection, below all of its streams. */
export interface OutletsWire {
  /** What waits for the visitor there. */
  readonly queuedBytes: number;
  readonly outlets: Set<H2Outlet>;
  forget(outlet: H2Outlet): void;
  /** Content was given to one of its streams. */
  wrote(): void;
}

/** What a visitor is sent by one stream: it waits there for the stream's window, and below for the visitor's connection. */
export class H2Outlet {
  /** Hears how much is left when some has gone. */
  onDrain: (queuedBytes: number) => void = () => undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #wire: OutletsWire;
  #writtenBytes = 0;

  constructor(stream: ServerHttp2Stream, wire: OutletsWire) {
    this.#stream = stream;
    this.#wire = wire;
    wire.outlets.add(this);
    stream.on("drain", () => this.drained());
    stream.on("close", () => wire.forget(this));
  }

  /** Returns how much waits after it. */
  write(bytes: Uint8Array): number {
    this.#writtenBytes += bytes.length;
    // A copy: what cannot leave is kept.
    this.#stream.write(Buffer.from(bytes));
    this.#wire.wrote();
    return this.queuedBytes;
  }

  /** All of it was written, but for `last`: with that the end goes in one frame. */
  end(last: Uint8Array): void {
    this.#writtenBytes += last.length;
    if (last.length === 0) this.#stream.end();
    else this.#stream.end(Buffer.from(last));
    this.#wire.wrote();
  }

  /** Here, and for all streams below. */
  get queuedBytes(): number {
    return (this.#stream.writableNeedDrain ? this.#stream.writableLength : 0) + this.#wire.queuedBytes;
  }

  /** What waits for its window. */
  get heldBytes(): number {
    return this.#stream.writableLength;
  }

  /** What has had a window. */
  get passedBytes(): number {
    return this.#writtenBytes - this.#stream.writableLength;
  }

  drained(): void {
    this.onDrain(this.queuedBytes);
  }
}
