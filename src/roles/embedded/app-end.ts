import type { ByteEnd, ByteSink } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { AppSocket, type AppSocketOwner, type AppSocketPlace, type Done } from "./app-socket.ts";

/** The app may write on while no more than this waits for the tunnel; what its own buffer holds comes on top. */
const WRITE_AHEAD_BYTES = 64 * 1024;

/** What the app is told when a connection ends otherwise than in order. */
export type ErrorOf = (reason: ReasonName) => Error;

/** A byte stream that ends in the app: its socket's other side, to be joined with a stream of the tunnel. */
export class AppEnd implements ByteEnd, AppSocketOwner {
  sink: ByteSink = SILENT_SINK;
  readonly socket: AppSocket;
  /** Why it ended; null = in order, by the app, or not yet. */
  error: Error | null = null;
  readonly #errorOf: ErrorOf;
  readonly #onOpened: (() => void) | null;
  #closed = false;
  #appEnded = false;
  #peerEnded = false;
  /** Bytes of the app's that wait for the tunnel. */
  #waitingBytes = 0;
  #written: Done | null = null;
  #telling = false;

  /** `onOpened`: of an end that was dialled, the other side is connected. */
  constructor(place: AppSocketPlace, errorOf: ErrorOf, onOpened: (() => void) | null = null) {
    this.#errorOf = errorOf;
    this.#onOpened = onOpened;
    this.socket = new AppSocket(this, place);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  // ——— what the tunnel does ———

  opened(): void {
    this.#onOpened?.();
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || this.#peerEnded) return 0;
    this.socket.received(Buffer.from(bytes));
    return this.socket.readableLength;
  }

  backlog(queuedBytes: number): void {
    this.#waitingBytes = queuedBytes;
    if (queuedBytes > WRITE_AHEAD_BYTES) return;
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  end(): void {
    if (this.#closed || this.#peerEnded) return;
    this.#peerEnded = true;
    this.socket.received(null);
    this.#closeIfDone();
  }

  reset(reason: ReasonName): void {
    if (this.#closed) return;
    this.error = this.#errorOf(reason);
    this.#close(reason);
    this.socket.destroy(this.error);
  }

  // ——— what the app does ———

  /** There is room in the app's buffer: how much is left in it is known when the reading is over. */
  appReads(): void {
    if (this.#telling) return;
    this.#telling = true;
    process.nextTick(() => {
      this.#telling = false;
      if (!this.#closed) this.sink.onDrain(this.socket.readableLength);
    });
  }

  appWrites(chunk: Buffer, done: Done): void {
    this.sink.onData(chunk);
    if (this.#waitingBytes > WRITE_AHEAD_BYTES && !this.#closed) this.#written = done;
    else done();
  }

  appEnds(): void {
    if (this.#closed) return;
    this.#appEnded = true;
    this.sink.onEnd();
    this.#closeIfDone();
  }

  appCloses(): void {
    if (!this.#closed) this.#close("reset");
  }

  #closeIfDone(): void {
    if (this.#appEnded && this.#peerEnded) this.#close(null);
  }

  #close(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    const { sink } = this;
    this.sink = SILENT_SINK;
    sink.onClose(reason);
  }
}
