import { type ClientRoutes, clientAdvice, clientConfig } from "../../core/vpn/client-config.ts";
import type { VpnPeerReply } from "../../servers/api/schema.ts";
import { parseCidr } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { encodeClientConfig } from "../../wire/wireguard/client-config.ts";
import { parseKey } from "../../wire/wireguard/key.ts";
import type { PeerKeys } from "./keys.ts";

/** full: all of the peer's traffic. ownTable: that too, by Linux's wg-quick. split: what is for the VPN alone. */
export type FileRoutes = "full" | "ownTable" | "split";

export interface PeerFile {
  readonly text: string;
  /** For a QR code. */
  readonly compact: string;
  /** A sentence each that says what to do. */
  readonly advice: readonly string[];
}

const ROUTES: Readonly<Record<FileRoutes, ClientRoutes>> = {
  full: { kind: "full", ownTable: false },
  ownTable: { kind: "full", ownTable: true },
  split: { kind: "split", networks: [] },
};
/** WireGuard takes a packet from a peer's AllowedIPs only, and a forward keeps its visitor's address. */
const SPLIT_IS_NOT_REACHED = "With this file no forward reaches it: its WireGuard refuses the visitors' addresses.";

/** What the peer's WireGuard needs, as `hatchway vpn add` writes it. The error is a sentence. */
export function peerFile(
  { peer, server }: VpnPeerReply,
  { privateKey, presharedKey }: PeerKeys,
  routes: FileRoutes,
): Result<PeerFile, string> {
  if (server.publicKey === null) return err("The VPN's interface never came up: see what this page says of the VPN.");
  const serverPublicKey = parseKey(server.publicKey);
  const network4 = parseCidr(server.network4);
  const network6 = parseCidr(server.network6);
  if (!serverPublicKey.ok || !network4.ok || !network6.ok) {
    return err("The gateway's answer is not understood: reload this page, it may be older than the gateway.");
  }
  const config = clientConfig(
    { ...server, network4: network4.value, network6: network6.value },
    { v4: peer.v4, v6: peer.v6, presharedKey },
    { privateKey, serverPublicKey: serverPublicKey.value },
    ROUTES[routes],
  );
  const unreached = routes === "split" && peer.mode !== "block-all" ? [SPLIT_IS_NOT_REACHED] : [];
  return ok({
    text: encodeClientConfig(config),
    compact: encodeClientConfig(config, "compact"),
    advice: [...unreached, ...clientAdvice(config).map(({ message }) => message)],
  });
}

/** wg-quick makes an interface of the file's name, and Linux's interfaces have at most 15 of these characters. */
const MAX_NAME_CHARS = 15;

export function fileName(peerName: string): string {
  const name = peerName
    .replaceAll(/[^A-Za-z0-9_-]+/g, "-")
    .slice(0, MAX_NAME_CHARS)
    .replaceAll(/^-+|-+$/g, "");
  return `${name === "" ? "hatchway" : name}.conf`;
}
