import type { Cidr } from "../address.ts";
import { type Endpoint, formatEndpoint, formatHostPort, type HostPort } from "../endpoint.ts";
import type { ClientConfig } from "./client-config.ts";
import { NO_KEY, type WgKey } from "./key.ts";

/**
 * What `wg setconf`, `wg syncconf` and `wg addconf` read (wg(8), CONFIGURATION FILE FORMAT). An absent field is not
 * written: addconf leaves it as it is, setconf and syncconf clear it, and give a new interface any port.
 */
export interface WgDeviceText {
  readonly privateKey?: WgKey;
  readonly listenPort?: number;
  readonly peers: readonly WgPeerText[];
}

export interface WgPeerText {
  readonly publicKey: WgKey;
  /** Null = none, and takes away one that is there. */
  readonly presharedKey?: WgKey | null;
  /** Replace those that are there. */
  readonly allowedIps?: readonly Cidr[];
  readonly endpoint?: Endpoint | HostPort;
  /** 0 = off. */
  readonly keepaliveSec?: number;
}

export function encodeDeviceText({ privateKey, listenPort, peers }: WgDeviceText): string {
  const lines: string[] = [];
  if (privateKey !== undefined || listenPort !== undefined) lines.push("[Interface]");
  if (privateKey !== undefined) lines.push(`PrivateKey = ${privateKey}`);
  if (listenPort !== undefined) lines.push(`ListenPort = ${listenPort}`);
  for (const { publicKey, presharedKey, allowedIps, endpoint, keepaliveSec } of peers) {
    lines.push("[Peer]", `PublicKey = ${publicKey}`);
    if (presharedKey !== undefined) lines.push(`PresharedKey = ${presharedKey ?? NO_KEY}`);
    if (allowedIps !== undefined) lines.push(`AllowedIPs = ${allowedIps.join(", ")}`);
    if (endpoint !== undefined) lines.push(`Endpoint = ${formatAny(endpoint)}`);
    if (keepaliveSec !== undefined) lines.push(`PersistentKeepalive = ${keepaliveSec === 0 ? "off" : keepaliveSec}`);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function formatAny(endpoint: Endpoint | HostPort): string {
  return "host" in endpoint ? formatHostPort(endpoint.host, endpoint.port) : formatEndpoint(endpoint);
}

/** A client's file without what is wg-quick's (`wg-quick strip`): addresses, DNS, MTU and routes are set by other means. */
export function clientDeviceText({ privateKey, server }: ClientConfig): WgDeviceText {
  return { privateKey, peers: [server] };
}
