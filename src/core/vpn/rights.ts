import { MAX_PORT } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { compilePermissions, type Permissions } from "../mapping/permission.ts";
import type { PermissionRule } from "../mapping/permission-rule.ts";
import type { MappingPolicy } from "../mapping/request.ts";
import { MIN_PORT, type PortSpans, PROTOCOLS, spansOf } from "../port-spans.ts";
import { hostNetwork } from "./networks.ts";
import { isActive, type VpnMode, type VpnPeer } from "./peers.ts";

/** Ports by protocol. */
export type ProtocolPorts = Readonly<Record<Protocol, PortSpans>>;

const EVERY: PortSpans = [{ first: MIN_PORT, last: MAX_PORT }];
const EVERY_PORT: ProtocolPorts = { tcp: EVERY, udp: EVERY };

/** The part of a MappingPolicy that is the peer's own: what it may map by NAT-PMP, PCP or UPnP. No rule = nothing. */
export function mappingRights(peer: VpnPeer, nowMs: number): Pick<MappingPolicy, "permissions" | "maxPerClient"> {
  const permissions: Permissions = isActive(peer, nowMs) ? compilePermissions(permissionRules(peer)) : [];
  return peer.maxPorts === null ? { permissions } : { permissions, maxPerClient: peer.maxPorts };
}

/**
 * A port without an internal side of its own may lead to any port of the peer: a program there listens where it likes,
 * and asks for one of the external ports that the peer has. One with an internal side leads there and nowhere else.
 */
export function permissionRules({ mode, v4, v6 }: Pick<VpnPeer, "mode" | "v4" | "v6">): PermissionRule[] {
  const pairs = pairsOf(mode);
  return [v4, v6].flatMap((address) =>
    pairs.map((pair): PermissionRule => ({ action: "allow", client: hostNetwork(address), ...pair })),
  );
}

function pairsOf(mode: VpnMode): { readonly external: ProtocolPorts; readonly internal: ProtocolPorts }[] {
  switch (mode.kind) {
    case "blockAll":
      return [];
    case "openAll":
      return [{ external: EVERY_PORT, internal: EVERY_PORT }];
    case "only": {
      const { ranges } = mode.ports;
      const same = ranges.filter(({ first, internalFirst }) => first === internalFirst);
      const translated = ranges.filter(({ first, internalFirst }) => first !== internalFirst);
      return [
        ...(same.length === 0 ? [] : [{ external: byProtocol(same), internal: EVERY_PORT }]),
        ...translated.map((range) => ({ external: byProtocol([range]), internal: byProtocol([internalSide(range)]) })),
      ];
    }
    default:
      return mode satisfies never;
  }
}

interface Range {
  readonly protocol: Protocol | null;
  readonly first: number;
  readonly last: number;
}

function internalSide({ protocol, first, last, internalFirst }: Range & { readonly internalFirst: number }): Range {
  return { protocol, first: internalFirst, last: internalFirst + last - first };
}

function byProtocol(ranges: readonly Range[]): ProtocolPorts {
  const [tcp = [], udp = []] = PROTOCOLS.map((protocol) => spansOf(ranges, protocol));
  return { tcp, udp };
}
