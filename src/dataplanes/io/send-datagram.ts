import { errorCode } from "../../os/errors.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import type { UdpSocket } from "./udp-socket.ts";

/** One datagram. False: the operating system would not take it, or the socket is closed. */
export function sendDatagram(socket: UdpSocket, bytes: Uint8Array, to: Endpoint): boolean {
  if (socket.closed) return false;
  // An error may be the answer to an earlier datagram (ICMP), told in place of sending this one: once more, then.
  return trySend(socket, bytes, to) || trySend(socket, bytes, to);
}

function trySend(socket: UdpSocket, bytes: Uint8Array, { address, port }: Endpoint): boolean {
  try {
    return socket.send(bytes, port, address);
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return false;
  }
}
