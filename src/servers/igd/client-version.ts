import type { IgdVersion } from "../../wire/igd/services.ts";

/**
 * Windows and Xbox give up on a gateway that has anything of version 2, though it is compatible: after they have read
 * WANIPConnection's description they ask nothing (miniupnp/miniupnp#539, openwrt/packages#14656). miniupnpd goes by
 * `microsoft` in any case (`Microsoft-Windows/10.0 UPnP/1.0`) and by `FDSSDP`; consoles also say `Xbox`.
 */
const VERSION_1_CLIENTS = /microsoft|fdssdp|xbox/i;

/** What the gateway is to a client. A client that lies gains nothing: version 1 is a part of version 2. */
export function versionFor(userAgent: string | null, highest: IgdVersion): IgdVersion {
  return userAgent !== null && VERSION_1_CLIENTS.test(userAgent) ? 1 : highest;
}
