import { NONCE_BYTES } from "../../core/check/probes.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { type CheckServer, serveCheckPage } from "../../servers/check/server.ts";
import { compileCidrs } from "../../wire/address.ts";
import { ControlError, type RelaySettings } from "../control.ts";
import type { RelayCheck } from "./check.ts";

/** Opens the page of `[check] listen`; null = there is none. Throws ControlError `failed` when the port cannot be had. */
export function openCheckPage(
  check: RelayCheck,
  settings: () => RelaySettings,
  sharing: PortSharing,
  onUnexpected: (error: unknown) => void,
): CheckServer | null {
  const { listen } = settings().check;
  if (listen === null) return null;
  const server = serveCheckPage({
    bind: listen.host,
    port: listen.port,
    sharing,
    hosts: () => {
      const { publicHost, check: page } = settings();
      return publicHost === null ? page.hosts : [publicHost.toLowerCase(), ...page.hosts];
    },
    trustedProxies: () => compileCidrs(settings().check.trustedProxies),
    look: (ask) =>
      check.look({ ...ask, named: [], nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)), askerName: null }),
    onUnexpected,
  });
  if (server.ok) return server.value;
  throw new ControlError("failed", server.error.message);
}
