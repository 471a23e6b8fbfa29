import type { RelayPolicy } from "../../core/policy.ts";
import type { PortSet } from "../../wire/port-set.ts";
import type { RelaySettings } from "../control.ts";

/** The port of a server of the relay's own, which it hands out to nobody; none while there is no such server. */
export function ownPort(server: { readonly port: number } | null, purpose: string): RelayPolicy["reserved"] {
  return server === null ? [] : [{ protocol: "tcp", port: server.port, purpose }];
}

/** What it hands out at all. */
export function poolOf(settings: RelaySettings): PortSet {
  return { ranges: settings.ports };
}
