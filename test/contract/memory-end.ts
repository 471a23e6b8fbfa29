import type { ByteEnd, ByteSink } from "../../src/dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../src/dataplanes/io/silent-sink.ts";
import type { ReasonName } from "../../src/wire/reason.ts";

/** Bytes on their way to the other side that `write` does not call queued: what a socket's buffers are. */
const IN_FLIGHT_BYTES = 256 * 1024;

/** A ByteEnd without an operating system: two of them, dialled and accepted, pass bytes from turn to turn. */
export class MemoryEnd implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  /** What was asked of it, for tests of what stands above. */
  readonly calls: string[] = [];
  readonly #waiting: { readonly until: () => boolean; readonly resolve: () => void }[] = [];
  #peer: MemoryEnd | null = null;
  #open: boolean;
  #outgoing: Uint8Array[] = [];
  #queued = 0;
  #ending = false;
  #finSent = false;
  #ended = false;
  #paused = false;
  #closed = false;
  #pumping = false;

  private constructor(open: boolean) {
    this.#open = open;
  }

  /** The accepted end is open; the dialled one opens when the accepted side calls `opened()`. */
  static pair(): { readonly dialled: MemoryEnd; readonly accepted: MemoryEnd } {
    const dialled = new MemoryEnd(false);
    const accepted = new MemoryEnd(true);
    dialled.#peer = accepted;
    accepted.#peer = dialled;
    return { dialled, accepted };
  }

  static refused(reason: ReasonName): MemoryEnd {
    const end = new MemoryEnd(false);
    queueMicrotask(() => end.#finish(reason));
    return end;
  }

  /** Resolves as soon as `until` holds; looked at after every call. */
  async when(until: () => boolean): Promise<void> {
    if (until()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ until, resolve });
    await promise;
  }

  #called(call: string): void {
    this.calls.push(call);
    for (const waiter of this.#waiting.splice(0)) {
      if (waiter.until()) waiter.resolve();
      else this.#waiting.push(waiter);
    }
  }

  opened(): void {
    this.#called("opened");
    const peer = this.#peer;
    queueMicrotask(() => {
      if (peer === null || peer.#open || peer.#closed) return;
      peer.#open = true;
      peer.sink.onOpen();
    });
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || this.#ending) return this.#over();
    this.#outgoing.push(bytes.slice());
    this.#queued += bytes.length;
    this.#pump();
    return this.#over();
  }

  backlog(queuedBytes: number): void {
    this.#called(`backlog ${queuedBytes}`);
    this.#paused = queuedBytes > 0;
    if (this.#peer !== null) this.#peer.#pump();
  }

  end(): void {
    this.#called("end");
    this.#ending = true;
    this.#pump();
  }

  reset(reason: ReasonName): void {
    this.#called(`reset ${reason}`);
    if (this.#closed) return;
    const peer = this.#peer;
    queueMicrotask(() => {
      if (peer !== null) peer.#finish("reset");
    });
    this.#finish(reason);
  }

  keepAlive(): void {
    this.#called("keepAlive");
  }

  #over(): number {
    return this.#closed ? 0 : Math.max(0, this.#queued - IN_FLIGHT_BYTES);
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    // Not a microtask: whoever awaits the accepted end must have set its sink before the first byte.
    setImmediate(() => {
      this.#pumping = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const peer = this.#peer;
    if (peer === null || this.#closed) return;
    const before = this.#over();
    while (this.#outgoing.length > 0 && !peer.#paused && !peer.#closed) {
      const bytes = this.#outgoing.shift();
      if (bytes === undefined) break;
      this.#queued -= bytes.length;
      peer.sink.onData(bytes);
    }
    if (this.#over() < before) this.sink.onDrain(this.#over());
    if (this.#ending && !this.#finSent && this.#outgoing.length === 0 && !this.#closed) {
      this.#finSent = true;
      peer.#ended = true;
      peer.sink.onEnd();
      for (const side of [this, peer]) if (side.#finSent && side.#ended) side.#finish(null);
    }
  }

  #finish(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queued = 0;
    this.#outgoing = [];
    const { sink } = this;
    this.sink = SILENT_SINK;
    sink.onClose(reason);
  }
}
