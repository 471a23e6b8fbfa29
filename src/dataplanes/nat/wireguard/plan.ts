import { KEEPALIVE_SEC } from "../../../core/vpn/client-config.ts";
import { hostNetwork } from "../../../core/vpn/networks.ts";
import { isIpv6 } from "../../../wire/address.ts";
import type { Endpoint } from "../../../wire/endpoint.ts";
import { formatInterfaceAddress, type InterfaceAddress } from "../../../wire/wireguard/client-config.ts";
import { encodeDeviceText, type WgPeerText } from "../../../wire/wireguard/device-text.ts";
import type { WgDump, WgDumpPeer } from "../../../wire/wireguard/dump.ts";
import type { WgKey } from "../../../wire/wireguard/key.ts";
import type { Link } from "./link.ts";
import type { VpnState, VpnStatePeer } from "./state.ts";

/** A program to run. `ipv6`: without it IPv4 goes on, so its failure is a warning. */
export interface Step {
  readonly argv: readonly string[];
  readonly input?: string;
  readonly ipv6?: boolean;
}

export interface ActualVpn {
  readonly link: Link;
  readonly dump: WgDump;
}

export interface ServerKey {
  readonly privateKey: WgKey;
  readonly publicKey: WgKey;
}

/** Arguments are bounded (128 KiB each, 2 MiB in all: execve(2)); a key takes 50 bytes with the word before it. */
const REMOVED_AT_ONCE = 500;
const OFF = 0;

/**
 * The steps from what is to what is to be; none when they are the same.
 *
 * Peers change by `wg addconf` and `wg set … remove`, and not by `wg syncconf`: that one always sets the listen port,
 * on which wireguard-go opens its socket anew (20 of them lost 15 and 29 of 2,240 datagrams at 1,000 a second; 20 of
 * addconf lost none). Secrets go by standard input only.
 */
export function planSteps(
  desired: VpnState,
  key: ServerKey,
  actual: ActualVpn,
  endpoints: ReadonlyMap<WgKey, Endpoint>,
): Step[] {
  const { interface: name } = desired;
  const present = new Map(actual.dump.peers.map((peer) => [peer.publicKey, peer]));
  const wanted = new Set(desired.peers.map(({ publicKey }) => publicKey));
  const removed = [...present.keys()].filter((publicKey) => !wanted.has(publicKey));
  const changes = desired.peers.flatMap((peer) => {
    const change = peerChange(peer, present.get(peer.publicKey), endpoints.get(peer.publicKey) ?? peer.lastEndpoint);
    return change === null ? [] : [change];
  });
  const device = encodeDeviceText({
    ...(actual.dump.publicKey === key.publicKey ? {} : { privateKey: key.privateKey }),
    ...(actual.dump.listenPort === desired.listenPort ? {} : { listenPort: desired.listenPort }),
    peers: changes,
  });
  const woken = changes.filter(({ keepaliveSec = OFF }) => keepaliveSec !== OFF);
  return [
    ...removals(name, removed),
    ...addconf(name, device),
    ...linkSteps(desired, actual.link),
    ...addconf(name, encodeDeviceText({ peers: woken.map(({ publicKey }) => ({ publicKey, keepaliveSec: OFF })) })),
  ];
}

/** What differs; null = nothing. */
function peerChange(
  { publicKey, presharedKey, addresses }: VpnStatePeer,
  present: WgDumpPeer | undefined,
  endpoint: Endpoint | null,
): WgPeerText | null {
  const allowedIps = addresses.map(hostNetwork);
  if (present === undefined) {
    const secret = presharedKey === null ? {} : { presharedKey };
    // A keepalive that is turned on goes out at once, and so does the handshake that it needs.
    const wake = endpoint === null ? {} : { endpoint, keepaliveSec: KEEPALIVE_SEC };
    return { publicKey, ...secret, allowedIps, ...wake };
  }
  const change: WgPeerText = {
    publicKey,
    ...(present.presharedKey === presharedKey ? {} : { presharedKey }),
    ...(sameSet(present.allowedIps, allowedIps) ? {} : { allowedIps }),
    // The clients send keepalives. One that is on here was left by a start that ended half-way.
    ...(present.keepaliveSec === OFF ? {} : { keepaliveSec: OFF }),
  };
  return Object.keys(change).length === 1 ? null : change;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === a.length;
}

function removals(name: string, keys: readonly WgKey[]): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < keys.length; at += REMOVED_AT_ONCE) {
    const some = keys.slice(at, at + REMOVED_AT_ONCE);
    steps.push({ argv: ["wg", "set", name, ...some.flatMap((key) => ["peer", key, "remove"])] });
  }
  return steps;
}

function addconf(name: string, input: string): Step[] {
  return input === "" ? [] : [{ argv: ["wg", "addconf", name, "/dev/stdin"], input }];
}

function linkSteps({ interface: name, mtu, addresses }: VpnState, link: Link): Step[] {
  const wanted = new Set(addresses.map(formatInterfaceAddress));
  const present = new Set(link.addresses.map(formatInterfaceAddress));
  const address = (verb: "replace" | "delete", one: InterfaceAddress): Step => {
    const argv = ["ip", "address", verb, formatInterfaceAddress(one), "dev", name];
    return isIpv6(one.address) ? { argv, ipv6: true } : { argv };
  };
  return [
    ...(link.mtu === mtu ? [] : [{ argv: ["ip", "link", "set", "dev", name, "mtu", `${mtu}`] }]),
    ...link.addresses.filter((one) => !wanted.has(formatInterfaceAddress(one))).map((one) => address("delete", one)),
    ...addresses.filter((one) => !present.has(formatInterfaceAddress(one))).map((one) => address("replace", one)),
    ...(link.up ? [] : [{ argv: ["ip", "link", "set", "dev", name, "up"] }]),
  ];
}
