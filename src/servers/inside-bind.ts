import { bindToDevice } from "../dataplanes/io/bind-to-device.ts";
import { type EntryErrorKind, entryError } from "../dataplanes/io/entry-error.ts";
import type { SystemSockets } from "../dataplanes/io/system-sockets.ts";
import type { Protocol } from "../wire/port-set.ts";

/** Why an interface of clients is not served, or not at one of its addresses. */
export interface InsideBindFailure {
  readonly interfaceName: string;
  /** One sentence that says what to do. */
  readonly message: string;
}

/** One of the gateway's own addresses inside, and the port to serve there. */
export interface InsidePlace {
  readonly interfaceName: string;
  readonly address: string;
  readonly port: number;
}

/** Classifies an error of bind(2). `own`: sentences of the server's, where it knows better what to do. */
export function insideBindFailure(
  error: unknown,
  protocol: Protocol,
  { interfaceName, address, port }: InsidePlace,
  own: Partial<Record<EntryErrorKind, string>> = {},
): InsideBindFailure {
  const { kind, message } = entryError(error, protocol, address, port);
  const elsewhere = `${address} is not an address of this machine; serve ${interfaceName} at one that "ip address" shows.`;
  return { interfaceName, message: own[kind] ?? (kind === "noAddress" ? elsewhere : message) };
}

/** From now on the socket hears what came in by this interface, and nothing else. Null = done. */
export function keepInside(socket: object, interfaceName: string, system: SystemSockets): InsideBindFailure | null {
  if (bindToDevice(socket, interfaceName, system)) return null;
  const message =
    system.interfaceIndex(interfaceName) === null
      ? `There is no interface ${interfaceName}; name one that "ip link" shows.`
      : `No socket can be tied to ${interfaceName}; use Linux 5.7 or later, or grant CAP_NET_RAW.`;
  return { interfaceName, message };
}
