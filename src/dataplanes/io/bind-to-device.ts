import type { SetSocketOption } from "./socket-option.ts";

/** SOL_SOCKET and SO_BINDTODEVICE of Linux (asm-generic/socket.h). */
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;

const encoder = new TextEncoder();

/**
 * Ties a socket to one interface: what came in by another does not reach it, and what it sends leaves by this one
 * (multicast too). Without privileges since Linux 5.7. False: there is no such interface, or this system cannot do it.
 */
export function bindToDevice(socket: object, interfaceName: string, setOption: SetSocketOption): boolean {
  return setOption(socket, SOL_SOCKET, SO_BINDTODEVICE, encoder.encode(`${interfaceName}\0`));
}
