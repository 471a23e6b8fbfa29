import { ok, type Result } from "../../wire/result.ts";
import type { FlowHandlers, FlowSocket, PortHandlers, PortSocket } from "./datagram-socket.ts";
import { bindNodeUdp, connectNodeUdp } from "./node-udp.ts";
import { bindUdp, connectUdp, udpErrorOf } from "./udp-socket.ts";

/** Binds an IP literal and a port (0 = any free one). The error is the operating system's. On Bun and on Node. */
export function bindPort(address: string, port: number, handlers: PortHandlers): Result<PortSocket, unknown> {
  return typeof Bun === "undefined" ? bindNodeUdp(address, port, handlers) : bindUdp(address, port, handlers);
}

/** Connects to an IP literal and a port; nothing is sent. The error is the operating system's. On Bun and on Node. */
export function connectFlow(address: string, port: number, handlers: FlowHandlers): Result<FlowSocket, unknown> {
  if (typeof Bun === "undefined") return ok(connectNodeUdp(address, port, handlers));
  return connectUdp(address, port, {
    data: (_socket, datagram) => handlers.data(datagram),
    error: (first, second) => handlers.error(udpErrorOf(first, second)),
  });
}
