import type { VpnPeerInfo, VpnServerInfo } from "../roles/control.ts";
import { formatAge, formatBytes, formatTable, printable } from "./text.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export function serverLines(server: VpnServerInfo): string[] {
  return [
    `vpn ${server.endpointHost} port ${server.listenPort}/udp`,
    `  networks   ${server.network4}, ${server.network6}`,
    `  interface  ${server.interface}, by ${server.backend ?? "nothing yet"}`,
    ...(server.publicKey === null ? [] : [`  key        ${server.publicKey}`]),
    ...(server.message === null ? [] : [`  warning    ${printable(server.message)}`]),
  ];
}

export function peersTable(peers: readonly VpnPeerInfo[], nowMs: number): string {
  const rows = peers.map((peer) => [
    peer.name,
    peer.v4,
    peer.state,
    peer.mode,
    String(peer.forwards),
    peer.latestHandshakeMs === null ? "never" : `${formatAge(nowMs - peer.latestHandshakeMs)} ago`,
    formatBytes(peer.receivedBytes),
    formatBytes(peer.sentBytes),
  ]);
  return formatTable(["NAME", "ADDRESS", "STATE", "REACHED BY", "FORWARDS", "SEEN", "FROM IT", "TO IT"], rows);
}

export function peerLines(peer: VpnPeerInfo, nowMs: number): string[] {
  const seen = peer.latestHandshakeMs === null ? "never" : `${formatAge(nowMs - peer.latestHandshakeMs)} ago`;
  return [
    `peer ${peer.name} (${peer.id}), ${peer.state}`,
    `  addresses  ${peer.v4}, ${peer.v6}`,
    `  reached by ${peer.mode}${peer.maxPorts === null ? "" : `, at most ${peer.maxPorts} ports`}`,
    `  forwards   ${peer.forwards}`,
    `  key        ${peer.publicKey}`,
    `  seen       ${seen}${peer.endpoint === null ? "" : ` at ${peer.endpoint}`}`,
    `  traffic    from it ${formatBytes(peer.receivedBytes)}, to it ${formatBytes(peer.sentBytes)}`,
    ...(peer.expiresMs === null ? [] : [`  expires    ${expiryText(peer.expiresMs, nowMs)}`]),
  ];
}

function expiryText(expiresMs: number, nowMs: number): string {
  const day = new Date(expiresMs).toISOString().slice(0, 16).replace("T", " ");
  return expiresMs - nowMs > DAY_MS ? day : `${day} (in ${formatAge(expiresMs - nowMs)})`;
}
