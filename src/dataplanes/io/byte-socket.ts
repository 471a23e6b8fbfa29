import type { X509Certificate } from "node:crypto";

/**
 * A TCP or TLS connection as the data planes use it: Bun's own sockets, and what stands in for them on Node. What is
 * written is taken or copied before the call returns, and what is read is the reader's until the call returns.
 */
export interface ByteSocket<Data> {
  data: Data;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** How many bytes were taken: fewer than all of them = `drain` follows; −1 = closed, `close` follows. */
  write(bytes: Uint8Array): number;
  /** Half-close; the rest of the other direction is still read. */
  shutdown(): void;
  /** Closes once what was written has left. */
  end(): void;
  /** Cuts the connection; `close` is called before it returns. */
  terminate(): void;
  pause(): void;
  resume(): void;
  setKeepAlive(enable: boolean, initialDelayMs: number): unknown;
}

export interface TlsByteSocket<Data> extends ByteSocket<Data> {
  readonly alpnProtocol: string | false | null;
  /** Undefined: the peer showed none. */
  getPeerX509Certificate(): X509Certificate | undefined;
  exportKeyingMaterial(length: number, label: string, context: Buffer): Uint8Array;
}

/** One set serves every socket; `socket.data` tells them apart. */
export interface ByteHandlers<Data, Socket extends ByteSocket<Data> = ByteSocket<Data>> {
  open(socket: Socket): void;
  data(socket: Socket, bytes: Uint8Array): void;
  drain(socket: Socket): void;
  /** The peer's half-close, where the socket is `allowHalfOpen`. */
  end?(socket: Socket): void;
  /** The last event of a socket that was open. */
  close(socket: Socket, error?: Error): void;
  /** It never opened: of the socket nothing but `data` is of use, and there may be none. */
  connectError(socket: Socket | null, error: Error): void;
  /** Something that a handler threw, where the runtime hands it back. */
  error(socket: Socket, error: Error): void;
}

export interface TlsHandlers<Data> extends ByteHandlers<Data, TlsByteSocket<Data>> {
  /** `error`: what verification says of the certificate; null = nothing. The handler decides, and terminates. */
  handshake(socket: TlsByteSocket<Data>, success: boolean, error: Error | null): void;
}

interface Place {
  readonly hostname: string;
  readonly port: number;
}

export interface DialOptions<Data> extends Place {
  readonly allowHalfOpen: true;
  readonly data: Data;
  readonly socket: ByteHandlers<Data>;
}

export interface TlsDialOptions<Data> extends Place {
  readonly tls: {
    readonly rejectUnauthorized: boolean;
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly serverName: string;
    readonly ALPNProtocols: Buffer;
    readonly minVersion: number;
  };
  readonly socket: TlsHandlers<Data>;
}

export interface ListenOptions<Data> extends Place {
  readonly allowHalfOpen: true;
  readonly data: Data;
  readonly socket: ByteHandlers<Data>;
}

export interface ByteListener {
  /** The port it has; 0 while a runtime that binds later has not bound yet. */
  readonly port: number;
  /** Null: it listens already. Resolves to null when it does, or to the operating system's error. */
  readonly binding: Promise<unknown> | null;
  /** The descriptor, where the runtime tells it. */
  readonly fd?: number;
  stop(closeConnections: boolean): void;
}

/** How this runtime makes connections. Every outcome comes by the handlers. */
export interface Sockets {
  dial<Data>(options: DialOptions<Data>): void;
  dialTls<Data>(options: TlsDialOptions<Data>): void;
  /** Throws the operating system's error where the runtime binds at once. */
  listen<Data>(options: ListenOptions<Data>): ByteListener;
  /** Whether the error of a dial has the operating system's own code (dial-error.ts). */
  readonly tellsDialErrors: boolean;
}
