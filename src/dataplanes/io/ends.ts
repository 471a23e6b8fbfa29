import type { Endpoint, HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { ServerTls } from "./server-tls.ts";

/** Told to an end as its backlog while it must not deliver: above any queue, so that all is held back. */
export const HOLD_BYTES = 2 ** 30;

/**
 * One side of a byte stream: a TCP socket of this process, or a stream of a tunnel session. Two of them joined
 * (join.ts) are a visit. Every method may be called in any state; after `onClose` they do nothing.
 */
export interface ByteEnd {
  /** Who hears of this end. Set before any event can fire (synchronously after the end was made or accepted). */
  sink: ByteSink;
  /**
   * Accepted ends only: the other end of the visit is connected. A tunnel stream tells its opener so (OPENED);
   * a socket has nothing to do and leaves it out. `join` calls it when the dialled end opens.
   */
  opened?(): void;
  /**
   * Sends all of `bytes`; what cannot leave now is copied and queued here. Returns how many bytes are queued
   * after the call: above 0 the caller tells its source so by `backlog`, so that the queue stays bounded.
   */
  write(bytes: Uint8Array): number;
  /**
   * How many of the bytes this end has delivered to its sink still wait on the other side. A socket pauses and
   * resumes reading by it; a tunnel stream withholds and grants credit by it.
   */
  backlog(queuedBytes: number): void;
  /** Half-close: no more bytes will be written; the queue is flushed first. */
  end(): void;
  /** Ends both directions at once: a TCP reset for a socket, RESET(reason) for a stream. `onClose` follows unless it already came. */
  reset(reason: ReasonName): void;
  /**
   * The visit has lasted a while: a socket turns TCP keep-alive on now, so that short visits are spared the system
   * calls; other ends leave it out.
   */
  keepAlive?(): void;
}

/** A visitor's connection, which may go on by TLS. */
export interface PlainEnd extends ByteEnd {
  /**
   * As the server, and once: what is written and delivered from now on is inside. `hello` is what came of it. `sink.onOpen`
   * says that the handshake is over, and until then nothing is written; when it fails `onClose("protocolError")` comes instead.
   */
  beginTls(tls: ServerTls, hello: Uint8Array): void;
}

export interface ByteSink {
  /** A dialled end is connected (never called for an accepted one). Bytes may be written before this. */
  onOpen(): void;
  /** Bytes arrived. The buffer is reused after the call returns: copy what is kept. */
  onData(bytes: Uint8Array): void;
  /** Some of the queue left; `queuedBytes` remain. */
  onDrain(queuedBytes: number): void;
  /** The far side half-closed: no more `onData`. */
  onEnd(): void;
  /** The last event: `null` after both directions ended in order, else why it was cut or refused. */
  onClose(reason: ReasonName | null): void;
}

/** One visitor's UDP flow (5-tuple) towards its exit. Datagrams keep their bounds; what cannot leave is dropped and counted. */
export interface FlowEnd {
  sink: FlowSink;
  /**
   * False when the datagram was dropped (queue full, closed). What a socket takes leaves by the end of this turn of the
   * event loop: if it then cannot, `onDropped` follows.
   */
  send(datagram: Uint8Array): boolean;
  close(reason: ReasonName | null): void;
}

export interface FlowSink {
  /** The buffer is reused after the call returns. */
  onDatagram(datagram: Uint8Array): void;
  /** A datagram of this many bytes, which `send` of this end had taken, was dropped after all. */
  onDropped?(bytes: number): void;
  onClose(reason: ReasonName | null): void;
}

/** What an entry knows of a visitor when it asks its exit for a connection or a flow. */
export interface Visit {
  /** The visitor's address as the entry saw it. */
  readonly visitor: Endpoint;
  /** The address and port the visitor came to. */
  readonly entry: Endpoint;
  /** The entry port the visitor came to, as the forward's port set numbers it (external port). */
  readonly externalPort: number;
  /** Dynamic forwards only: where the visitor asked to go. */
  readonly destination?: HostPort;
}

/**
 * How a visit leaves: dialled from this process (direct), or opened on a tunnel session (remote, local, dynamic).
 * Both return at once with an end that is still opening; the outcome comes by its sink.
 */
export interface Exit {
  connect(visit: Visit): ByteEnd;
  openFlow(visit: Visit): FlowEnd;
}
