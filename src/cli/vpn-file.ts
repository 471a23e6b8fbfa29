import type { WgKeyPair } from "../os/wireguard-key.ts";
import type { VpnPeerReply } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Context } from "./context.ts";
import { parsedOption } from "./parse.ts";
import { printable } from "./text.ts";

export interface VpnFileOptions {
  readonly out?: string;
  readonly split?: true;
  readonly ownTable?: true;
}

/** WireGuard takes a packet from a peer's AllowedIPs only, and a forward keeps its visitor's address. */
const SPLIT_IS_NOT_REACHED = "With --split no forward reaches it: its WireGuard refuses the visitors' addresses.\n";

export type VpnKeyPair = WgKeyPair & { readonly presharedKey: string | null };

/** Before anything is changed: a key that could not be written down would be lost. */
export async function refusePresentFile(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const { existsSync } = await import("node:fs");
  if (existsSync(path)) throw new ControlError("usage", `${path} is there already: name a new file with --out.`);
}

/** The configuration that the peer needs: on the terminal with a QR code, or in a file. */
export async function showFile(
  context: Context,
  reply: VpnPeerReply,
  keys: VpnKeyPair | null,
  given: VpnFileOptions,
): Promise<void> {
  const { io, options } = context;
  const made = keys === null ? null : await configOf(reply, keys, given);
  if (made !== null && given.out !== undefined) {
    const { createFile } = await import("../os/files.ts");
    const written = await createFile(given.out, made.text);
    if (!written.ok) throw new ControlError("failed", written.error.message);
    io.err(`Wrote ${given.out}: bring it to ${printable(reply.peer.name)}, and delete it here.\n`);
  }
  if (options.json) {
    const config = made === null || given.out !== undefined ? {} : { config: made.text };
    io.out(`${JSON.stringify({ ...reply, ...config })}\n`);
    return;
  }
  const { peer } = reply;
  const reached = peer.state === "active" ? peer.mode : `nothing, it is ${peer.state}`;
  io.err(`${printable(peer.name)} has ${peer.v4} and ${peer.v6}; what reaches it: ${reached}.\n`);
  if (made !== null && given.split === true && peer.mode !== "block-all") io.err(SPLIT_IS_NOT_REACHED);
  if (made === null || given.out !== undefined) return;
  io.out(made.text);
  const { renderQr } = await import("./qr.ts");
  const qr = renderQr(made.compact, { color: io.isTerminal && !io.env["NO_COLOR"], columns: io.columns });
  if (io.isTerminal && qr.ok) io.out(`\n${qr.value}`);
  else if (io.isTerminal && !qr.ok) io.err(`${qr.error.message}\n`);
  io.err("This is shown once: keep it, or make another with `hatchway vpn set NAME --rotate`.\n");
  for (const { kind, message } of made.advice) {
    io.err(`${message}${kind === "dhcpRoutes" ? " --own-table makes such a file." : ""}\n`);
  }
}

async function configOf({ peer, server }: VpnPeerReply, keys: VpnKeyPair, { split, ownTable }: VpnFileOptions) {
  const { clientAdvice, clientConfig } = await import("../core/vpn/client-config.ts");
  const { encodeClientConfig } = await import("../wire/wireguard/client-config.ts");
  const { parseKey } = await import("../wire/wireguard/key.ts");
  const { parseCidr } = await import("../wire/address.ts");
  const { publicKey } = server;
  if (publicKey === null) throw new ControlError("failed", "The VPN's interface is not up: see `hatchway status`.");
  const key = (text: string) => parsedOption("the gateway's answer", text, parseKey);
  const network = (text: string) => parsedOption("the gateway's answer", text, parseCidr);
  const config = clientConfig(
    { ...server, network4: network(server.network4), network6: network(server.network6) },
    { v4: peer.v4, v6: peer.v6, presharedKey: keys.presharedKey === null ? null : key(keys.presharedKey) },
    { privateKey: keys.privateKey, serverPublicKey: key(publicKey) },
    split === true ? { kind: "split", networks: [] } : { kind: "full", ownTable: ownTable === true },
  );
  const compact = encodeClientConfig(config, "compact");
  return { text: encodeClientConfig(config), compact, advice: clientAdvice(config) };
}
