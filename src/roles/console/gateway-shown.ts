import type { HeldMapping } from "../../core/mapping/book.ts";
import type { PortSpan } from "../../core/port-spans.ts";
import type { VpnPeerStatus } from "../../dataplanes/nat/wireguard/state.ts";
import type { Device, Forward, VpnPeer } from "../../servers/api/schema.ts";
import { FIRST_ACCOUNT_ID } from "../../store/accounts.ts";
import type { StoredVpnPeer } from "../../store/vpn-peers.ts";
import { MAX_PORT } from "../../wire/endpoint.ts";
import { formatPortSet } from "../../wire/port-set.ts";
import { formatMappings } from "../config/ports.ts";
import type { GatewayView } from "../gateway/control.ts";
import {
  countersOf,
  deviceName,
  endpointsOf,
  leaseEndsMs,
  runsOfOne,
  stateOf,
  type Traffic,
} from "../gateway/forward-info.ts";
import { isPeersOwn } from "../gateway/peers.ts";
import { deviceOf, peerInfo } from "../gateway/vpn.ts";
import { apiId } from "./forwards.ts";
import { accountOf } from "./gateway-sight.ts";

type Names = ReadonlyMap<string, string>;

/** WireGuard's keys are good for so long without a new handshake (its paper, §6.1: REJECT-AFTER-TIME). */
const ALIVE_MS = 180_000;

/** What `If-Match` names: another text whenever somebody's settings of it are others. */
export function versionOf({ spec }: HeldMapping): string {
  return Bun.hash(JSON.stringify(spec)).toString(36);
}

/** A mapping as the API has forwards. */
export function forwardShown(
  gateway: GatewayView,
  held: HeldMapping,
  { traffic, names }: { readonly traffic: Traffic; readonly names: Names },
): Forward {
  const { owner, spec } = held;
  const isConfigured = spec.origin === "config";
  const peer = gateway.vpn.peerOf(owner.device);
  return {
    id: apiId(owner.device, spec.id),
    name: spec.name,
    device: { id: owner.device, name: deviceName(gateway, held) },
    account: named(names, peer === null ? FIRST_ACCOUNT_ID : accountOf(peer)),
    group: null,
    ports: formatMappings(spec.ports),
    to: spec.to,
    enabled: spec.enabled,
    origin: spec.origin,
    editable: spec.requester === null && !isConfigured && !isPeersOwn(held),
    removable: !isConfigured,
    way: "kernel",
    ...stateOf(gateway, held),
    endpoints: endpointsOf(gateway, held),
    leaseEndsMs: leaseEndsMs(gateway, held),
    allow: spec.allow.map(({ network, port }) => (port === null ? network : `${network} port ${port}`)),
    deny: spec.deny,
    limits: {
      connections: null,
      connectionsPerSource: spec.limits.connectionsPerSource ?? null,
      newPerSourcePerSec: spec.limits.newPerSourcePerSec ?? null,
      bandwidthBytesPerSec: null,
    },
    proxyProtocol: null,
    healthCheck: false,
    site: null,
    counters: countersOf(runsOfOne(gateway, held), traffic),
  };
}

/** A VPN peer, or a host of the LAN by its address, as the API has devices. */
export function deviceShown(
  gateway: GatewayView,
  one: StoredVpnPeer | string,
  { status, names }: { readonly status: ReadonlyMap<string, VpnPeerStatus>; readonly names: Names },
): Device {
  // The kernel leads to them at once: there is no agent that would have to agree.
  const alike = { managed: true, version: null, rttMs: null };
  if (typeof one === "string") {
    return {
      id: one,
      name: one,
      account: named(names, FIRST_ACCOUNT_ID),
      // Nothing says whether it is switched on.
      connected: true,
      address: one,
      enrolledMs: gateway.startedMs,
      lastSeenMs: null,
      forwards: gateway.book.ofDevice(one).length,
      ...alike,
    };
  }
  const id = deviceOf(one.id);
  const { latestHandshakeMs, endpoint } = peerInfo(one, status.get(one.publicKey) ?? null, 0, gateway.wallMs());
  return {
    id,
    name: one.name,
    account: named(names, accountOf(one)),
    connected: latestHandshakeMs !== null && gateway.wallMs() - latestHandshakeMs < ALIVE_MS,
    address: endpoint === null ? null : (endpoint.split(" ")[0] ?? null),
    enrolledMs: one.createdMs,
    lastSeenMs: latestHandshakeMs,
    forwards: gateway.book.ofDevice(id).length,
    ...alike,
  };
}

export function peerShown(
  gateway: GatewayView,
  peer: StoredVpnPeer,
  { status, names }: { readonly status: ReadonlyMap<string, VpnPeerStatus>; readonly names: Names },
): VpnPeer {
  const forwards = gateway.book.ofDevice(deviceOf(peer.id)).length;
  const info = peerInfo(peer, status.get(peer.publicKey) ?? null, forwards, gateway.wallMs());
  return {
    ...info,
    account: named(names, accountOf(peer)),
    mode: MODES[peer.mode.kind],
    ports: peer.mode.kind === "only" ? formatPortSet(peer.mode.ports) : null,
    forwarded: gateway.peers.isForwarded(peer),
  };
}

const MODES = { blockAll: "block-all", openAll: "open-all", only: "only" } as const;

/** What can be forwarded at all. */
export function poolText({ first, last }: PortSpan): string {
  const spans = [
    { first: 1, last: first - 1 },
    { first: last + 1, last: MAX_PORT },
  ].filter((span) => span.first <= span.last);
  return formatPortSet({
    ranges: spans.map((span) => ({ protocol: null, ...span, internalFirst: span.first })),
  });
}

function named(names: Names, id: string): { readonly id: string; readonly name: string } {
  return { id, name: names.get(id) ?? "" };
}
