import { Duplex } from "node:stream";
import type { ByteEnd, ByteSink } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";

/** The app may write on while no more than this waits for the tunnel; what its own buffer holds comes on top. */
const WRITE_AHEAD_BYTES = 64 * 1024;
/** Of each direction of the app's socket (`highWaterMark`). */
const BUFFER_BYTES = 64 * 1024;

export interface AppSocketPlace {
  /** Who is at the other end. */
  readonly remote: Endpoint;
  /** Where it came to, or was made. */
  readonly local: Endpoint;
}

/** What the app is told when a connection ends otherwise than in order. */
export type ErrorOf = (reason: ReasonName) => Error;

type Done = (error?: Error | null) => void;

/** What the app sees of a connection: it half-closes as a TCP socket with `allowHalfOpen` does. */
export class AppSocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly #end: AppEnd;

  constructor(end: AppEnd, { remote, local }: AppSocketPlace) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#end = end;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.localAddress = local.address;
    this.localPort = local.port;
    // A visitor that goes away must not end a program that listens for no errors. (`pipe` listens, and then throws.)
    this.on("error", () => undefined);
  }

  /** As of any stream, but whoever has read it to its end may still write: the other direction is open. */
  override async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, undefined> {
    let isRead = false;
    try {
      yield* this.iterator({ destroyOnReturn: false });
      isRead = true;
    } finally {
      if (!isRead) this.destroy();
    }
  }

  override _read(): void {
    this.#end.appReads();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#end.appWrites(chunk, done);
  }

  override _final(done: Done): void {
    this.#end.appEnds();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#end.appCloses();
    done(error);
  }
}

/** A byte stream that ends in the app: its socket's other side, to be joined with a stream of the tunnel. */
export class AppEnd implements ByteEnd {
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
    this.socket.push(Buffer.from(bytes));
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
    this.socket.push(null);
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
