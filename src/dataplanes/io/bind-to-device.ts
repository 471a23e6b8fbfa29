import { cString, type SystemSockets } from "./system-sockets.ts";

/** SOL_SOCKET and SO_BINDTODEVICE of Linux (asm-generic/socket.h). */
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;

/**
 * Ties a socket to one interface: what came in by another does not reach it, and what it sends leaves by this one
 * (multicast too). Without privileges since Linux 5.7. False: there is no such interface, or this system cannot do it.
 * The socket goes with the interface: one made anew under the same name is another.
 */
export function bindToDevice(socket: object, interfaceName: string, system: SystemSockets): boolean {
  return system.setOption(socket, SOL_SOCKET, SO_BINDTODEVICE, cString(interfaceName));
}
