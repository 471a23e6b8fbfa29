import { entryError } from "../../dataplanes/io/entry-error.ts";
import { SSDP_PORT } from "../../wire/igd/ssdp.ts";

/** Why the server could not be opened: one sentence that says what to do. */
export interface IgdBindError {
  readonly message: string;
}

/** Of the port of the searches. DLNA servers share it; a program that does not is most likely another gateway server. */
export function ssdpBindError(error: unknown, address: string, port: number): IgdBindError {
  const classified = entryError(error, "udp", address, port);
  if (classified.kind !== "inUse" || port !== SSDP_PORT) return { message: classified.message };
  return {
    message: `UDP port ${port} is held on ${address} by a program that does not share it; stop the other UPnP server (miniupnpd, an old DLNA server) that "ss -ulpn sport = :${port}" shows.`,
  };
}

export function httpBindError(error: unknown, address: string, port: number): IgdBindError {
  return { message: entryError(error, "tcp", address, port).message };
}

export function deviceError(interfaceName: string): IgdBindError {
  return {
    message: `The UPnP server cannot keep to interface ${interfaceName}; check the name with "ip link", and that this is Linux 5.7 or later.`,
  };
}

export function groupError(interfaceName: string, error: unknown): IgdBindError {
  const reason = error instanceof Error ? error.message : String(error);
  return {
    message: `Interface ${interfaceName} takes no multicast (${reason}); leave it out of the inside interfaces, or turn on multicast with "ip link set ${interfaceName} multicast on".`,
  };
}
