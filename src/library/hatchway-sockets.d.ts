// Connections and flows, as apps see them (hatchway.d.ts).
/// <reference lib="es2018.asynciterable" />

// @ts-ignore: where Node's or Bun's types are not there, only what is written here is known of a socket.
import type { Duplex } from "node:stream";

/**
 * A TCP connection through the tunnel: a Duplex of node:stream, on Node and on Bun. It half-closes as a socket with
 * `allowHalfOpen` does: end it when the other side has ended. An `error` that nobody listens for ends no program.
 */
export interface TunnelSocket extends Duplex {
  /** Of an exposed port: the visitor. Of `connect`: the host that was asked for. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Of an exposed port: the relay's address and the public port that the visitor came to. */
  readonly localAddress: string;
  readonly localPort: number;
  /** `"IPv4"` or `"IPv6"`. */
  readonly remoteFamily: string;
  readonly localFamily: string;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly connecting: boolean;
  readonly destroyed: boolean;
  /** Of `setTimeout`, in milliseconds; 0 = none. */
  readonly timeout: number;
  /** Emits `timeout` after so many milliseconds without a byte either way, and ends nothing by itself; 0 = never. */
  setTimeout(idleMs: number, onTimeout?: () => void): this;
  /** Cuts the connection, both ways at once. */
  destroy(error?: Error): this;
  /** `localAddress`, `localFamily` and `localPort`. */
  address(): { readonly address: string; readonly family: string; readonly port: number };
  /** For servers that call them of a socket of node:net: here they change nothing. */
  setNoDelay(noDelay?: boolean): this;
  setKeepAlive(enable?: boolean, initialDelayMs?: number): this;
  ref(): this;
  unref(): this;
}

/** The datagrams that one visitor sends from one port, for `for await` until the flow ends. Who reads late gets the newest 512, of 1 MiB at most. */
export interface TunnelFlow extends AsyncIterable<Uint8Array> {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The relay's address and the public port that the visitor wrote to. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly closed: boolean;
  /** Answers from the port that the visitor wrote to. False: the flow is closed. Like any datagram it may be lost. */
  send(datagram: Uint8Array): boolean;
  close(): void;
}

/** Called once for each TCP visitor. What it throws or rejects with ends that visitor's connection, and is uncaught. */
export type OnSocket = (socket: TunnelSocket) => unknown;

export interface VisitorHandlers {
  /** Each TCP connection: needed where `ports` has TCP ports. */
  readonly socket?: OnSocket | undefined;
  /** Each UDP flow, the datagrams of one visitor's port: needed where `ports` has UDP ports. */
  readonly flow?: ((flow: TunnelFlow) => unknown) | undefined;
}
