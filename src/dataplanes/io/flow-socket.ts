import { ok, type Result } from "../../wire/result.ts";
import { type FlowHandlers, type FlowSocket, NodeConnectedUdp } from "./node-udp.ts";
import { connectUdp, udpErrorOf } from "./udp-socket.ts";

export type { FlowSocket } from "./node-udp.ts";

/** Connects to an IP literal and a port; nothing is sent. The error is the operating system's. On Bun and on Node. */
export function connectFlow(address: string, port: number, handlers: FlowHandlers): Result<FlowSocket, unknown> {
  if (typeof Bun === "undefined") return ok(new NodeConnectedUdp(address, port, handlers));
  return connectUdp(address, port, {
    data: (_socket, datagram) => handlers.data(datagram),
    error: (first, second) => handlers.error(udpErrorOf(first, second)),
  });
}
