import { entryError } from "../../dataplanes/io/entry-error.ts";
import { messageOf } from "../../os/errors.ts";
import { SSDP_PORT } from "../../wire/igd/ssdp.ts";
import type { Protocol } from "../../wire/port-set.ts";

/** Why the server could not be opened: one sentence that says what to do. */
export interface IgdBindError {
  readonly message: string;
}

/** Of the port of the searches. DLNA servers share it; a program that does not is most likely another gateway server. */
export function ssdpBindError(error: unknown, interfaceName: string, address: string, port: number): IgdBindError {
  const { kind, message } = entryError(error, "udp", address, port);
  if (kind !== "inUse" || port !== SSDP_PORT) return bindError(error, "udp", interfaceName, address, port);
  const look = `"ss -ulpn sport = :${port}"`;
  return {
    message: `${message.split(";", 1)[0]} by a program that does not share it; stop the one that ${look} shows.`,
  };
}

export function bindError(
  error: unknown,
  protocol: Protocol,
  interfaceName: string,
  address: string,
  port: number,
): IgdBindError {
  const { kind, message } = entryError(error, protocol, address, port);
  if (kind !== "noAddress") return { message };
  return {
    message: `${address} is not an address of this machine; serve ${interfaceName} at one that "ip address" shows.`,
  };
}

export function deviceError(interfaceName: string): IgdBindError {
  return {
    message: `The UPnP server cannot keep to interface ${interfaceName}; check the name with "ip link", and that this is Linux 5.7 or later.`,
  };
}

export function groupError(interfaceName: string, error: unknown): IgdBindError {
  const reason = messageOf(error);
  return {
    message: `Interface ${interfaceName} takes no multicast (${reason}); leave it out of the interfaces that UPnP serves.`,
  };
}
