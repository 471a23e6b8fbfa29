import { parsePortSet } from "../../wire/port-set.ts";
import { formatKey, KEY_BYTES, type WgKey } from "../../wire/wireguard/key.ts";
import { addPeer, type NewVpnPeer, type VpnMode, type VpnPeer } from "./peers.ts";
import { defaultVpnSettings, ULA_RANDOM_BYTES, type VpnSettings } from "./settings.ts";

/** 10.77.0.0/24 and fd01:101:101:101::/64. */
export const SETTINGS: VpnSettings = defaultVpnSettings("vpn.example.com", new Uint8Array(ULA_RANDOM_BYTES).fill(1));

export function keyOf(seed: number): WgKey {
  return formatKey(new Uint8Array(KEY_BYTES).fill(seed));
}

export function only(ports: string): VpnMode {
  const set = parsePortSet(ports);
  if (!set.ok) throw new TypeError(set.error.message);
  return { kind: "only", ports: set.value };
}

export function newPeer(name: string, seed: number, more: Partial<NewVpnPeer> = {}): NewVpnPeer {
  const keys = { publicKey: keyOf(seed), presharedKey: null };
  return { id: `id-${seed}`, name, ...keys, mode: { kind: "blockAll" }, maxPorts: null, expiresMs: null, ...more };
}

/** `peers` and one more, with the lowest free addresses. */
export function withPeer(peers: readonly VpnPeer[], name: string, seed: number, more: Partial<NewVpnPeer> = {}) {
  const added = addPeer(peers, SETTINGS, newPeer(name, seed, more), 1_000);
  if (!added.ok) throw new TypeError(added.error.message);
  return [...peers, added.value];
}

export function onePeer(more: Partial<NewVpnPeer> = {}): VpnPeer {
  const [peer] = withPeer([], "phone", 2, more);
  if (peer === undefined) throw new TypeError("no peer");
  return peer;
}
