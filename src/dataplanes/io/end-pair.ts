import type { ReasonName } from "../../wire/reason.ts";
import type { ByteEnd, ByteSink } from "./ends.ts";
import { SILENT_SINK } from "./silent-sink.ts";

/** Two ends of one connection within this process: what is written to one of them comes out of the other. */
export function endPair(): { readonly a: ByteEnd; readonly b: ByteEnd } {
  const a = new PairedEnd();
  const b = new PairedEnd();
  a.peer = b;
  b.peer = a;
  return { a, b };
}

class PairedEnd implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  peer: PairedEnd | null = null;
  /** How much of what came out here still waits behind its sink. */
  #waiting = 0;
  #ended = false;
  #closed = false;

  write(bytes: Uint8Array): number {
    const { peer } = this;
    if (this.#closed || this.#ended || peer === null) return 0;
    peer.sink.onData(bytes);
    return peer.#waiting;
  }

  backlog(queuedBytes: number): void {
    this.#waiting = queuedBytes;
    this.peer?.sink.onDrain(queuedBytes);
  }

  end(): void {
    const { peer } = this;
    if (this.#closed || this.#ended || peer === null) return;
    this.#ended = true;
    peer.sink.onEnd();
    if (!peer.#ended) return;
    peer.#close(null);
    this.#close(null);
  }

  reset(reason: ReasonName): void {
    const { peer } = this;
    this.#close(reason);
    if (peer !== null) peer.#close(reason);
  }

  #close(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    const { sink } = this;
    this.sink = SILENT_SINK;
    sink.onClose(reason);
  }
}
