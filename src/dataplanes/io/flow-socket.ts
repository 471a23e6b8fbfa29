import { ok, type Result } from "../../wire/result.ts";
import { NodeConnectedUdp } from "./node-udp.ts";
import type { ManySender } from "./udp-outbox.ts";
import { connectUdp, udpErrorOf } from "./udp-socket.ts";

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

/** Connects to an IP literal and a port; nothing is sent. The error is the operating system's. On Bun and on Node. */
export function connectFlow(address: string, port: number, handlers: FlowHandlers): Result<FlowSocket, unknown> {
  if (typeof Bun === "undefined") return ok(new NodeConnectedUdp(address, port, handlers));
  return connectUdp(address, port, {
    data: (_socket, datagram) => handlers.data(datagram),
    error: (first, second) => handlers.error(udpErrorOf(first, second)),
  });
}
