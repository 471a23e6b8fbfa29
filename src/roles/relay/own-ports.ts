import type { RelayPolicy } from "../../core/policy.ts";
import type { PortSet } from "../../wire/port-set.ts";
import type { RelaySettings } from "../control.ts";
import type { RelayStun } from "./stun.ts";

interface Listener {
  readonly port: number;
}

/** The relay's own servers, as they are now; null = there is none. */
export interface OwnServers {
  /** Of the agent port. */
  readonly agentPort: number;
  readonly stun: Pick<RelayStun, "reserved"> | null;
  readonly page: Listener | null;
  readonly console: (Listener & { readonly acme: { readonly port: number | null } | null }) | null;
  readonly metrics: Listener | null;
  /** Of the sites. */
  readonly names?: { readonly http: number | null; readonly https: number | null };
  readonly ssh: Listener | null;
}

/** What the relay hands out, and what it keeps for itself. */
export function relayPolicy(settings: RelaySettings, own: OwnServers): RelayPolicy {
  return {
    pool: poolOf(settings),
    reserved: [
      { protocol: "tcp", port: own.agentPort, purpose: "the relay's agent port" },
      ...(own.stun?.reserved ?? []),
      ...ownPort(own.page, "the relay's check page"),
      ...ownPort(own.console, "the relay's console"),
      ...ownPort(listenerAt(own.console?.acme?.port), "where [acme] proves the console's names"),
      ...ownPort(own.metrics, "the relay's metrics"),
      ...ownPort(listenerAt(own.names?.http), "shared by sites: expose one by --host"),
      ...ownPort(listenerAt(own.names?.https), "shared by sites: expose one by --host"),
      ...ownPort(own.ssh, "the relay's SSH server"),
    ],
    denied: { ranges: [] },
  };
}

/** The port of a server of the relay's own, which it hands out to nobody; none while there is no such server. */
function ownPort(server: Listener | null, purpose: string): RelayPolicy["reserved"] {
  return server === null ? [] : [{ protocol: "tcp", port: server.port, purpose }];
}

function listenerAt(port: number | null | undefined): Listener | null {
  return port == null ? null : { port };
}

/** What it hands out at all. */
export function poolOf(settings: RelaySettings): PortSet {
  return { ranges: settings.ports };
}
