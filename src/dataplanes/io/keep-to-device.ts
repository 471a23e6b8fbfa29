import { ptr } from "bun:ffi";
import { loadSetsockopt } from "./setsockopt.ts";

/** SOL_SOCKET and SO_BINDTODEVICE (asm-generic/socket.h). */
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;

/**
 * Makes a socket hear and speak on one interface only. Its address alone does not: Linux takes a packet to any of its
 * addresses on every interface (RFC 1122 §3.3.4.2, the weak model). False = it could not be done: no such interface, or
 * not Linux 5.7, from which on it needs no privilege. For a listener: also those that it accepts from then on.
 */
export type KeepToDevice = (socket: object, interfaceName: string) => boolean;

export function deviceKeeper(): KeepToDevice {
  let setsockopt: ReturnType<typeof loadSetsockopt> | undefined;
  return (socket, interfaceName) => {
    const descriptor: unknown = "fd" in socket ? socket.fd : null;
    if (process.platform !== "linux" || typeof descriptor !== "number" || descriptor < 0) return false;
    setsockopt ??= loadSetsockopt();
    if (setsockopt === null) return false;
    const name = new TextEncoder().encode(`${interfaceName}\0`);
    return setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, ptr(name), name.byteLength) === 0;
  };
}
