import type { ManySender } from "./udp-outbox.ts";

/** A UDP socket at a port of this machine: Bun's own, and what stands in for it on Node. */
export interface PortSocket extends ManySender {
  readonly port: number;
  /** False: there was no room for it. May throw the operating system's error (EMSGSIZE, no route). */
  send(datagram: Uint8Array, port: number, address: string): boolean;
  close(): void;
}

export interface PortHandlers {
  /** The datagram may be reused after the call returns; `from` is as `send` takes it. */
  data(socket: PortSocket, datagram: Uint8Array, port: number, from: string): void;
  /** An ICMP error of somebody whom the socket wrote to, or that a datagram could not leave. */
  error(): void;
}

/** A UDP socket for one flow, connected to its service. */
export interface FlowSocket extends ManySender {
  close(): void;
}

export interface FlowHandlers {
  /** The datagram may be reused after the call returns. */
  data(datagram: Uint8Array): void;
  /** An ICMP error, or that a datagram could not leave. */
  error(error: unknown): void;
}
