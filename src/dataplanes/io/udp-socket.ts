import { isIpv6 } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";

export type UdpSocket = Bun.udp.Socket<"buffer">;
export type ConnectedUdpSocket = Bun.udp.ConnectedSocket<"buffer">;

/** Payload of the largest IPv4 UDP datagram: 65,535 − 20 (IP header) − 8 (UDP header). */
export const MAX_DATAGRAM_BYTES = 65_507;

/** Bun's UDP socket bound to an IP literal and a port (0 = any free one). The error is the operating system's. */
export function bindUdp(
  address: string,
  port: number,
  socket: Bun.udp.SocketHandler<"buffer">,
): Result<UdpSocket, unknown> {
  return settled(() => Bun.udpSocket({ hostname: address, port, socket }));
}

/** The values of uSockets' flags (LIBUS_LISTEN_…) that Bun 1.4.5 takes without naming them in its types. */
const REUSE_PORT = 4;
const REUSE_ADDRESS = 16;

/** As bindUdp, beside a socket of another process that lets it in, and those of its flows (port-sharing.ts). */
export function bindBesideUdp(
  address: string,
  port: number,
  socket: Bun.udp.SocketHandler<"buffer">,
): Result<UdpSocket, unknown> {
  const options = { hostname: address, port, socket, flags: REUSE_PORT | REUSE_ADDRESS };
  return settled(() => Bun.udpSocket(options));
}

/** As bindUdp, beside other sockets that have the same port and SO_REUSEADDR, which all hear what comes to a group. */
export function bindSharedUdp(
  address: string,
  port: number,
  socket: Bun.udp.SocketHandler<"buffer">,
): Result<UdpSocket, unknown> {
  const options = { hostname: address, port, socket, flags: REUSE_ADDRESS };
  return settled(() => Bun.udpSocket(options));
}

/**
 * A socket at `address` and `port`, where another of this process is, for what one peer sends: the kernel gives it to the
 * socket that is connected to that peer before any other (Linux, udp4_lib_lookup2).
 */
export function connectBesideUdp(
  address: string,
  port: number,
  peer: { readonly address: string; readonly port: number },
  socket: Bun.udp.ConnectedSocketHandler<"buffer">,
): Result<ConnectedUdpSocket, unknown> {
  const connect = { hostname: peer.address, port: peer.port };
  const shared: object = { flags: REUSE_ADDRESS };
  return settled(() => Bun.udpSocket({ hostname: address, port, connect, socket, ...shared }));
}

/** A UDP socket connected to an IP literal and a port; nothing is sent. The error is the operating system's. */
export function connectUdp(
  address: string,
  port: number,
  socket: Bun.udp.ConnectedSocketHandler<"buffer">,
): Result<ConnectedUdpSocket, unknown> {
  // Without a hostname Bun 1.4.5 makes an IPv4 socket, which connects to no IPv6 address (EAFNOSUPPORT).
  const hostname = isIpv6(address) ? "::" : "0.0.0.0";
  return settled(() => Bun.udpSocket({ hostname, connect: { hostname: address, port }, socket }));
}

/** Bun 1.4.5 makes UDP sockets before it returns: the promise is fulfilled, or the error thrown (udp-socket.test.ts). */
function settled<Socket extends { close(): void }>(make: () => Promise<Socket>): Result<Socket, unknown> {
  try {
    const promise = make();
    const socket: unknown = Bun.peek(promise);
    if (socket !== promise) return ok(socket as Socket);
    promise.then((late) => late.close(), ignoreRejection);
    return err(new Error("The UDP socket was not made at once."));
  } catch (error) {
    return err(error);
  }
}

/** The caller has been told already. */
function ignoreRejection(): void {}

/** Bun calls a UDP `error` handler with the error alone; its types say (socket, error). Either is understood. */
export function udpErrorOf(first: unknown, second: unknown): unknown {
  return second instanceof Error ? second : first;
}
