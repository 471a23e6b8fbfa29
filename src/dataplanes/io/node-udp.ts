import type * as dgram from "node:dgram";
import { isIpv6 } from "../../wire/address.ts";
import type { ManySender } from "./udp-outbox.ts";

/** Datagrams that wait until the socket is connected, which takes Node a turn of the event loop; more are dropped. */
const MAX_WAITING = 128;

export interface FlowHandlers {
  /** The buffer may be reused after the call returns. */
  data(datagram: Uint8Array): void;
  /** An ICMP error, or that a datagram could not leave. */
  error(error: unknown): void;
}

/** A UDP socket for one flow, connected to its service. */
export interface FlowSocket extends ManySender {
  close(): void;
}

/** A flow's socket on Node. */
export class NodeConnectedUdp implements FlowSocket {
  readonly #socket: dgram.Socket;
  #waiting: Uint8Array[] | null = [];

  constructor(address: string, port: number, handlers: FlowHandlers) {
    // Not imported: Bun, which never comes here, would load it at its start.
    const { createSocket } = process.getBuiltinModule("node:dgram");
    this.#socket = createSocket(isIpv6(address) ? "udp6" : "udp4");
    this.#socket.on("message", (datagram) => handlers.data(datagram));
    this.#socket.on("error", (error) => handlers.error(error));
    this.#socket.connect(port, address, () => {
      const waiting = this.#waiting ?? [];
      this.#waiting = null;
      this.sendMany(waiting);
    });
  }

  sendMany(packets: readonly unknown[]): number {
    for (const packet of packets) {
      if (!(packet instanceof Uint8Array)) continue;
      // What could not leave at once is kept by Node, and the caller's memory is reused.
      const copy = Buffer.from(packet);
      // Connected, its errors (ICMP) come as events; of one datagram alone the call tells.
      if (this.#waiting === null) this.#socket.send(copy, (error) => error && this.#socket.emit("error", error));
      else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(copy);
    }
    return packets.length;
  }

  close(): void {
    this.#waiting = [];
    this.#socket.removeAllListeners("message");
    this.#socket.close();
  }
}
