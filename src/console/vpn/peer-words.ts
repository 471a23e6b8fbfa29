import type { VpnPeer } from "../../servers/api/schema.ts";

/** WireGuard makes new keys every 2 minutes while packets pass, and our files keep them passing; 3 is when a session ends. */
const HANDSHAKE_LASTS_MS = 180_000;

/** It is connected, as far as WireGuard knows, which has no word for it. */
export function isHeard({ latestHandshakeMs, state }: VpnPeer, nowMs: number): boolean {
  return state === "active" && latestHandshakeMs !== null && nowMs - latestHandshakeMs < HANDSHAKE_LASTS_MS;
}

/** What reaches it from outside. */
export function reachWords({ mode, ports, forwarded }: Pick<VpnPeer, "mode" | "ports" | "forwarded">): string {
  switch (mode) {
    case "block-all":
      return "nothing";
    case "open-all":
      return "what it asks for";
    case "only":
      return `${(ports ?? "").replaceAll(/,\s*/g, ", ")}${forwarded ? "" : ", when it asks"}`;
    default:
      return mode satisfies never;
  }
}
