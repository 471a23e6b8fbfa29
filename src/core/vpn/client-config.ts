import { addressBytes, type Cidr, parseCidr } from "../../wire/address.ts";
import type { ClientConfig } from "../../wire/wireguard/client-config.ts";
import type { WgKey } from "../../wire/wireguard/key.ts";
import { hostNetwork, networkParts } from "./networks.ts";
import type { VpnPeer } from "./peers.ts";
import type { VpnSettings } from "./settings.ts";

/** `full`: all of the client's traffic goes through the tunnel. `split`: only what is for the VPN, and `networks`. */
export type ClientRoutes =
  | { readonly kind: "full"; readonly ownTable: boolean }
  | { readonly kind: "split"; readonly networks: readonly Cidr[] };

/** A word on a client's file, for whoever is given it. */
export interface ClientAdvice {
  readonly kind: "namedEndpoint" | "dhcpRoutes" | "killSwitch";
  /** One sentence that says what to do. */
  readonly message: string;
}

/**
 * Peers are behind NAT and have to be reached for their forwards, also when they say nothing: a NAT may forget a flow of
 * UDP after 30 s (RFC 4787 section 4.3 asks for 120), and 25 is what wg(8) recommends.
 */
export const KEEPALIVE_SEC = 25;
/** Any number that the client does not use: wg-quick too takes WireGuard's port. */
const OWN_TABLE = 51820;
const EVERYTHING = ["0.0.0.0/0", "::/0"].map((text) => {
  const cidr = parseCidr(text);
  if (!cidr.ok) throw new TypeError(cidr.error.message);
  return cidr.value;
});

/** The file of one peer. The private key is in it and nowhere else. */
export function clientConfig(
  settings: VpnSettings,
  peer: Pick<VpnPeer, "v4" | "v6" | "presharedKey">,
  keys: { readonly privateKey: WgKey; readonly serverPublicKey: WgKey },
  routes: ClientRoutes,
): ClientConfig {
  const full = routes.kind === "full";
  return {
    privateKey: keys.privateKey,
    addresses: [peer.v4, peer.v6].map((address) => ({ address, prefix: networkParts(hostNetwork(address)).prefix })),
    // A resolver behind the tunnel would be asked for every name, also of traffic that goes past it.
    dns: full ? settings.dns : [],
    mtu: settings.mtu,
    ownTable: full && routes.ownTable ? OWN_TABLE : null,
    server: {
      publicKey: keys.serverPublicKey,
      presharedKey: peer.presharedKey,
      allowedIps: full ? EVERYTHING : [...new Set([settings.network4, settings.network6, ...routes.networks])],
      endpoint: { host: settings.endpointHost, port: settings.listenPort },
      keepaliveSec: KEEPALIVE_SEC,
    },
  };
}

/** What can make a full tunnel leak, and what the client's owner does about it. A split one promises nothing. */
export function clientAdvice(config: ClientConfig): ClientAdvice[] {
  const { server, ownTable } = config;
  if (!EVERYTHING.some((network) => server.allowedIps.includes(network))) return [];
  const advice: ClientAdvice[] = [];
  if (addressBytes(server.endpoint.host) === null) {
    const message = `Give the server's address instead of the name ${server.endpoint.host} if it stays the same: whoever forges DNS chooses which address goes past the tunnel (TunnelCrack).`;
    advice.push({ kind: "namedEndpoint", message });
  }
  if (ownTable === null) {
    const message =
      "On Linux take the file with a routing table of its own: without it a local network's DHCP server can send routes that go past the tunnel (TunnelVision, CVE-2024-3661).";
    advice.push({ kind: "dhcpRoutes", message });
    const blocked =
      "On Windows leave “Block untunneled traffic” on, and on Android turn on “Block connections without VPN”; macOS and iOS have no such switch for WireGuard, so trust the local network there.";
    advice.push({ kind: "killSwitch", message: blocked });
  }
  return advice;
}
