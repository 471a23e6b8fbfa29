import { compileCidrs } from "../../wire/address.ts";
import type { PortSet } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { quoted } from "../../wire/text-error.ts";
import type { WgKey } from "../../wire/wireguard/key.ts";
import { hostAddress, networkParts } from "./networks.ts";
import { SERVER_HOST_NUMBER, type VpnSettings } from "./settings.ts";

/** What reaches a peer from outside. `only`: these external ports, and the internal ones that they say. */
export type VpnMode =
  | { readonly kind: "blockAll" }
  | { readonly kind: "openAll" }
  | { readonly kind: "only"; readonly ports: PortSet };

/** A device of the VPN. */
export interface VpnPeer {
  readonly id: string;
  /** Unique among the peers, whatever the case. */
  readonly name: string;
  /** Whose it is; null = the first account's. */
  readonly account: string | null;
  readonly publicKey: WgKey;
  readonly presharedKey: WgKey | null;
  /** In the tunnel; they stay its own as long as it exists. */
  readonly v4: string;
  readonly v6: string;
  readonly mode: VpnMode;
  /** How many external ports it may have at once; null = no limit. */
  readonly maxPorts: number | null;
  readonly createdMs: number;
  /** Null = never. */
  readonly expiresMs: number | null;
  readonly disabled: boolean;
}

export interface VpnPeerKeys {
  readonly publicKey: WgKey;
  readonly presharedKey: WgKey | null;
}

export interface NewVpnPeer extends VpnPeerKeys {
  readonly id: string;
  readonly name: string;
  readonly mode: VpnMode;
  readonly maxPorts: number | null;
  readonly expiresMs: number | null;
  /** Absent = null. */
  readonly account?: string | null;
}

export type VpnPeerChange = Partial<Pick<VpnPeer, "name" | "mode" | "maxPorts" | "expiresMs" | "disabled">>;

export interface VpnRefusal {
  readonly kind: "name" | "nameTaken" | "keyTaken" | "quota" | "expired" | "full";
  /** One sentence that says what to do. */
  readonly message: string;
}

/** As names of the configuration file are: printable on a terminal, and found again on a keyboard. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,62}$/u;
/** IPv4's network and broadcast addresses are nobody's. */
const NOT_HOSTS4 = 2;
const V4_BITS = 32;

/** The peer as it would be among `peers`, with the lowest addresses that are free. */
export function addPeer(
  peers: readonly VpnPeer[],
  settings: VpnSettings,
  request: NewVpnPeer,
  nowMs: number,
): Result<VpnPeer, VpnRefusal> {
  const addresses = freeAddresses(peers, settings);
  if (addresses === null) {
    const message = `Every address of ${settings.network4} is taken; remove a peer that is not needed.`;
    return err({ kind: "full", message });
  }
  const account = request.account ?? null;
  return check(peers, { ...request, account, ...addresses, createdMs: nowMs, disabled: false }, nowMs);
}

/** A peer with other rules; its keys and addresses stay. */
export function changePeer(
  peers: readonly VpnPeer[],
  peer: VpnPeer,
  change: VpnPeerChange,
  nowMs: number,
): Result<VpnPeer, VpnRefusal> {
  return check(peers, { ...peer, ...change }, change.expiresMs === undefined ? null : nowMs);
}

/** A peer with new keys: the old ones open nothing, and its name, addresses and forwards stay. */
export function rotatePeer(
  peers: readonly VpnPeer[],
  peer: VpnPeer,
  { publicKey, presharedKey }: VpnPeerKeys,
): Result<VpnPeer, VpnRefusal> {
  return check(peers, { ...peer, publicKey, presharedKey }, null);
}

/** `aliveAtMs`: when it has to be valid; null = an expired one may stay as it is. */
function check(peers: readonly VpnPeer[], peer: VpnPeer, aliveAtMs: number | null): Result<VpnPeer, VpnRefusal> {
  const refuse = (kind: VpnRefusal["kind"], message: string) => err({ kind, message });
  if (!NAME.test(peer.name)) {
    return refuse(
      "name",
      'A peer\'s name has 1 to 63 letters, digits, spaces, ".", "_" and "-", a letter or digit first.',
    );
  }
  const others = peers.filter(({ id }) => id !== peer.id);
  if (others.some(({ name }) => sameName(name, peer.name))) {
    return refuse("nameTaken", `There is a peer ${quoted(peer.name)} already; choose another name.`);
  }
  const holder = others.find(({ publicKey }) => publicKey === peer.publicKey);
  if (holder !== undefined) {
    return refuse(
      "keyTaken",
      `The peer ${quoted(holder.name)} has this public key; make a new key pair for each peer.`,
    );
  }
  if (peer.maxPorts !== null && !(Number.isInteger(peer.maxPorts) && peer.maxPorts >= 0)) {
    return refuse("quota", `The number of ports is a whole number from 0 on, not ${peer.maxPorts}.`);
  }
  if (aliveAtMs !== null && peer.expiresMs !== null && peer.expiresMs <= aliveAtMs) {
    return refuse("expired", "This end is in the past; choose a later one.");
  }
  return ok(peer);
}

export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function freeAddresses(peers: readonly VpnPeer[], settings: VpnSettings): Pick<VpnPeer, "v4" | "v6"> | null {
  const taken = new Set(peers.flatMap(({ v4, v6 }) => [v4, v6]));
  const last = 2 ** (V4_BITS - networkParts(settings.network4).prefix) - NOT_HOSTS4;
  for (let number = SERVER_HOST_NUMBER + 1; number <= last; number++) {
    const v4 = hostAddress(settings.network4, number);
    const v6 = hostAddress(settings.network6, number);
    if (!taken.has(v4) && !taken.has(v6)) return { v4, v6 };
  }
  return null;
}

/** A peer that these networks have no place for: settings that leave one out are refused, since addresses stay. */
export function peerOutside(peers: readonly VpnPeer[], { network4, network6 }: VpnSettings): VpnPeer | null {
  const inside = compileCidrs([network4, network6]);
  const server = new Set([network4, network6].map((network) => hostAddress(network, SERVER_HOST_NUMBER)));
  return (
    peers.find(({ v4, v6 }) => [v4, v6].some((address) => !inside.contains(address) || server.has(address))) ?? null
  );
}

/** Whether the server lets it in now. */
export function isActive({ disabled, expiresMs }: VpnPeer, nowMs: number): boolean {
  return !disabled && (expiresMs === null || expiresMs > nowMs);
}

export function activePeers<P extends VpnPeer>(peers: readonly P[], nowMs: number): P[] {
  return peers.filter((peer) => isActive(peer, nowMs));
}

/** When `activePeers` changes next by itself; null = never. */
export function nextExpiryMs(peers: readonly VpnPeer[], nowMs: number): number | null {
  let next: number | null = null;
  for (const { disabled, expiresMs } of peers) {
    if (disabled || expiresMs === null || expiresMs <= nowMs) continue;
    if (next === null || expiresMs < next) next = expiresMs;
  }
  return next;
}

/** Whose an address in the tunnel is. */
export interface PeerIndex {
  at(address: string): VpnPeer | null;
}

export function indexPeers(peers: readonly VpnPeer[]): PeerIndex {
  const byAddress = new Map(peers.flatMap((peer) => [[peer.v4, peer] as const, [peer.v6, peer] as const]));
  return { at: (address) => byAddress.get(address) ?? null };
}
