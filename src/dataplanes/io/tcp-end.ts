import { errorCode } from "../../os/errors.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { ByteHandlers, ByteSocket, TlsHandlers } from "./byte-socket.ts";
import type { Descriptors } from "./descriptors.ts";
import { dialReason } from "./dial-error.ts";
import type { ByteSink, PlainEnd } from "./ends.ts";
import { PAUSE_ABOVE_BYTES, RESUME_AT_BYTES } from "./paused-reading.ts";
import { beginServerTls, type ServerTls } from "./server-tls.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import { sockets } from "./sockets.ts";
import type { Reader, Turnstile } from "./turnstile.ts";

/** First probe of TCP keep-alive after this long without traffic. */
const KEEP_ALIVE_MS = 60_000;

/** Hears of connections that a listener accepted: the `data` of a listener made with ACCEPT_HANDLERS. */
export interface Acceptor {
  /** Sets `end.sink` before it returns, or resets the end. `remoteAddress` is as the socket gives it. */
  accepted(end: TcpEnd, remoteAddress: string, remotePort: number): void;
  /** It listens at a path: whoever comes has no address. */
  readonly isUnix?: true;
  readonly turnstile?: Turnstile;
  readonly descriptors?: Descriptors;
}

/** Hears that an attempt of its end to connect failed; tries another address or calls `end.refuse`. */
export interface Dialer {
  dialOpened(end: TcpEnd): void;
  dialFailed(end: TcpEnd, reason: ReasonName): void;
  readonly turnstile?: Turnstile;
  readonly descriptors?: Descriptors;
}

/** One attempt to connect. Bun gives the socket only when it is open: an abandoned attempt is closed then. */
class Attempt {
  constructor(
    public end: TcpEnd | null,
    readonly address: string,
    readonly port: number,
    readonly startedMs: number,
  ) {}
}

type TcpSocket = ByteSocket<TcpEnd>;
/** What `socket.data` is before the first event of a socket has been handled. */
type NewSocket = ByteSocket<TcpEnd | Attempt | Acceptor>;

/**
 * A TCP socket as a ByteEnd. One set of handlers serves every socket (`socket.data` is the end), so a connection
 * costs two small objects and no closure. What Bun 1.4.5 does on real sockets is held by tcp-end.test.ts.
 */
export class TcpEnd implements PlainEnd, Reader {
  sink: ByteSink = SILENT_SINK;
  #socket: TcpSocket | null;
  #attempt: Attempt | null = null;
  readonly #dialer: Dialer | null;
  #queue: ByteQueue | null = null;
  readonly #turnstile: Turnstile | null;
  readonly #descriptors: Descriptors | null;
  /** The other side is behind. */
  #paused = false;
  /** Other bulk readers have their turn. */
  #standing = false;
  /** `end()` was called. */
  #ending = false;
  /** The peer's FIN was delivered. */
  #ended = false;
  /** Our FIN was sent. */
  #finSent = false;
  #closed = false;
  #resetReason: ReasonName | null = null;

  private constructor(socket: TcpSocket | null, dialer: Dialer | null, { turnstile, descriptors }: Acceptor | Dialer) {
    this.#socket = socket;
    this.#dialer = dialer;
    this.#turnstile = turnstile ?? null;
    this.#descriptors = descriptors ?? null;
    this.#descriptors?.taken();
  }

  /** An end that is not connected yet: `dial` starts an attempt. Bytes written before it opens are queued. */
  static dialled(dialer: Dialer): TcpEnd {
    return new TcpEnd(null, dialer, dialer);
  }

  /** The handlers of a listener whose `data` is an Acceptor and whose `allowHalfOpen` is true. */
  static readonly ACCEPT_HANDLERS: ByteHandlers<Acceptor> = TcpEnd.#handlers((socket) => {
    const acceptor = socket.data as Acceptor;
    if (acceptor.isUnix !== true && hasGone(socket)) {
      socket.terminate();
      return;
    }
    const end = new TcpEnd(socket as TcpSocket, null, acceptor);
    socket.data = end;
    acceptor.accepted(end, socket.remoteAddress, socket.remotePort);
  }) as unknown as ByteHandlers<Acceptor>;

  static readonly #DIAL_HANDLERS: ByteHandlers<Attempt> = TcpEnd.#handlers((socket) => {
    const end = (socket.data as Attempt).end;
    if (end === null) {
      socket.terminate();
      return;
    }
    socket.data = end;
    end.#opened(socket as TcpSocket);
  }) as unknown as ByteHandlers<Attempt>;

  static readonly #TLS_HANDLERS: TlsHandlers<TcpEnd> = {
    ...(TcpEnd.#handlers(() => undefined) as unknown as ByteHandlers<TcpEnd>),
    open: (socket) => {
      socket.data.#socket = socket;
    },
    handshake: (socket, success) => {
      if (success) socket.data.sink.onOpen();
      // It was sent an alert, and is being closed.
      else socket.data.#resetReason ??= "protocolError";
    },
    error: (socket, error) => {
      const isPeers = errorCode(error) === "EPROTO";
      socket.data.reset(isPeers ? "protocolError" : "resources");
      if (!isPeers) reportError(error);
    },
  };

  static #handlers(open: (socket: NewSocket) => void): ByteHandlers<TcpEnd | Attempt | Acceptor> {
    return {
      open,
      data: (socket, bytes) => {
        const end = socket.data;
        // It is below TLS.
        if (!(end instanceof TcpEnd)) return;
        end.sink.onData(bytes);
        end.#turnstile?.passed(end, bytes.length);
      },
      drain: (socket) => {
        if (socket.data instanceof TcpEnd) socket.data.#flush();
      },
      end: (socket) => {
        if (socket.data instanceof TcpEnd) socket.data.#peerEnded();
      },
      close: (socket, error) => {
        if (socket.data instanceof TcpEnd) socket.data.#socketClosed(error);
      },
      connectError: (socket, error) => TcpEnd.#attemptFailed(socket?.data as Attempt, error),
      // Reached only when a sink throws: a defect, which must not be silent nor leave the connection half alive.
      error: (socket, error) => {
        if (socket.data instanceof TcpEnd) socket.data.reset("resources");
        reportError(error);
      },
    };
  }

  /**
   * Starts an attempt to connect to an IP literal; an attempt under way is abandoned. The outcome comes as
   * `sink.onOpen` or `dialer.dialFailed`. `nowMs` is monotonic.
   */
  dial(address: string, port: number): void {
    if (this.#closed || this.#socket !== null) return;
    this.abandon();
    const attempt = new Attempt(this, address, port, performance.now());
    this.#attempt = attempt;
    sockets.dial({ hostname: address, port, allowHalfOpen: true, data: attempt, socket: TcpEnd.#DIAL_HANDLERS });
  }

  /** Gives up the attempt under way without an event. */
  abandon(): void {
    if (this.#attempt !== null) this.#attempt.end = null;
    this.#attempt = null;
  }

  /** A dialled end that cannot be connected: `onClose(reason)` follows at once. */
  refuse(reason: ReasonName): void {
    if (this.#socket !== null) return;
    this.abandon();
    this.#finish(reason);
  }

  /** The address of this machine that the peer reached; empty when the end is not connected. */
  get localAddress(): string {
    return this.#socket?.localAddress ?? "";
  }

  /** This side's port; 0 when the end is not connected. */
  get localPort(): number {
    return this.#socket?.localPort ?? 0;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get isOpen(): boolean {
    return this.#socket !== null && !this.#closed;
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || this.#ending) return this.#queued;
    let written = 0;
    if (this.#socket !== null && this.#queued === 0) {
      written = this.#socket.write(bytes);
      if (written === bytes.length) return 0;
      // -1: the socket is closed, and its close event is on the way.
      if (written < 0) return 0;
    }
    this.#queue ??= new ByteQueue();
    this.#queue.push(written === 0 ? bytes : bytes.subarray(written));
    return this.#queue.length;
  }

  backlog(queuedBytes: number): void {
    if (queuedBytes > PAUSE_ABOVE_BYTES) {
      if (this.#paused) return;
      this.#paused = true;
      if (!this.#closed) this.#socket?.pause();
    } else if (this.#paused && queuedBytes <= RESUME_AT_BYTES) {
      this.#paused = false;
      if (!this.#closed && !this.#standing) this.#socket?.resume();
    }
  }

  standStill(): void {
    this.#standing = true;
    if (!this.#closed) this.#socket?.pause();
  }

  goOn(): void {
    this.#standing = false;
    if (!this.#closed && !this.#paused) this.#socket?.resume();
  }

  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#flush();
  }

  reset(reason: ReasonName): void {
    if (this.#closed) return;
    this.#resetReason ??= reason;
    this.abandon();
    // Fires the close handler before it returns.
    this.#socket?.terminate();
    this.#finish(this.#resetReason);
  }

  beginTls(tls: ServerTls, hello: Uint8Array): void {
    if (this.#socket !== null && !this.#closed) beginServerTls(this.#socket, tls, hello, this, TcpEnd.#TLS_HANDLERS);
  }

  keepAlive(): void {
    if (!this.#closed) this.#socket?.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  get #queued(): number {
    return this.#queue === null ? 0 : this.#queue.length;
  }

  #opened(socket: TcpSocket): void {
    this.#attempt = null;
    this.#socket = socket;
    if (this.#paused) socket.pause();
    this.#dialer?.dialOpened(this);
    this.sink.onOpen();
    if (!this.#closed) this.#flush();
  }

  /** Sends what is queued, then the half-close that waits behind it. */
  #flush(): void {
    const socket = this.#socket;
    if (socket === null || this.#closed) return;
    const queue = this.#queue;
    const before = queue === null ? 0 : queue.length;
    let left = before;
    if (queue !== null) {
      for (let bytes = queue.peek(); bytes !== null; bytes = queue.peek()) {
        const written = socket.write(bytes);
        if (written > 0) queue.consume(written);
        if (written < bytes.length) break;
      }
      left = queue.length;
      // A visit that was slow once need not keep a queue for life.
      if (left === 0) this.#queue = null;
    }
    if (left === 0 && this.#ending && !this.#finSent) {
      this.#finSent = true;
      // After the peer's FIN nothing is left to wait for: closing sends ours and spares a wake-up.
      if (this.#ended) socket.end();
      else socket.shutdown();
    }
    if (left < before && !this.#closed) this.sink.onDrain(left);
  }

  #peerEnded(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.sink.onEnd();
  }

  #socketClosed(error: Error | undefined): void {
    if (this.#closed) return;
    if (this.#resetReason !== null) {
      this.#finish(this.#resetReason);
    } else if (error === undefined && this.#finSent) {
      // When both directions end, Bun may report the peer's FIN only by closing.
      this.#peerEnded();
      this.#finish(null);
    } else {
      // ECONNRESET; EPIPE for a reset after the peer's FIN; ETIMEDOUT from keep-alive.
      this.#finish("reset");
    }
  }

  #finish(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = null;
    this.#descriptors?.given();
    const sink = this.sink;
    this.sink = SILENT_SINK;
    sink.onClose(reason);
  }

  static #attemptFailed(attempt: Attempt, error: Error): void {
    const end = attempt.end;
    if (end === null || end.#attempt !== attempt) return;
    const elapsedMs = performance.now() - attempt.startedMs;
    const reason = dialReason(error, attempt.address, attempt.port, elapsedMs);
    // Bun may fail within Bun.connect, before whoever made the end has set its sink.
    queueMicrotask(() => {
      if (attempt.end === null) return;
      end.#attempt = null;
      end.#dialer?.dialFailed(end, reason);
    });
  }
}

/**
 * The peer reset before its connection was accepted, as health checks do: getpeername(2) says ENOTCONN, and Bun 1.4.5
 * has no address where its types promise one.
 */
export function hasGone(socket: Pick<ByteSocket<unknown>, "remoteAddress">): boolean {
  const address: string | undefined = socket.remoteAddress;
  return address === undefined;
}
