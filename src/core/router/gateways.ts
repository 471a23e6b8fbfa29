import { addressBytes, classifyAddress } from "../../wire/address.ts";
import type { DefaultRoute, RouteInterface } from "../../wire/routes/route.ts";
import type { Gateway } from "./model.ts";

/** An address of this machine, as far as it matters for its routers. */
export interface LocalAddress {
  readonly interfaceName: string;
  /** Canonical, without a zone. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly prefixLength: number | null;
  /** The zone of a link-local IPv6 address as a number; null = none. */
  readonly zoneIndex: number | null;
  /** IPv6, RFC 8981. False where the system does not tell. */
  readonly temporary: boolean;
  /** Neither about to go nor yet to come. True where the system does not tell. */
  readonly steady: boolean;
}

/** A default route over a link that has another end and no router: most often a VPN's. */
export interface PointToPoint {
  readonly family: 4 | 6;
  readonly interfaceName: string;
  /** Like a gateway's: the lowest is used. */
  readonly metric: number;
}

/** The ways out of this machine, in each list the one that is used first. */
export interface Network {
  readonly gateways: readonly Gateway[];
  readonly pointToPoint: readonly PointToPoint[];
}

/** Routes and own addresses, joined. A gateway to which no own address belongs is none: nothing could be mapped to it. */
export function networkOf(routes: readonly DefaultRoute[], addresses: readonly LocalAddress[]): Network {
  const gateways: Gateway[] = [];
  const pointToPoint: PointToPoint[] = [];
  for (const { family, gateway: address, interface: by, metric } of routes.toSorted((a, b) => a.metric - b.metric)) {
    const interfaceName = nameOf(by, addresses);
    if (interfaceName === null) continue;
    if (address === null) {
      pointToPoint.push({ family, interfaceName, metric });
      continue;
    }
    const there = addresses.filter((one) => one.interfaceName === interfaceName && one.family === family);
    const ownAddress = family === 4 ? bestIpv4(by, there, address) : bestIpv6(there, address);
    const known = gateways.some((one) => one.address === address && one.interfaceName === interfaceName);
    if (ownAddress !== null && !known) gateways.push({ family, address, interfaceName, ownAddress, metric });
  }
  return { gateways, pointToPoint };
}

function nameOf(by: RouteInterface, addresses: readonly LocalAddress[]): string | null {
  switch (by.kind) {
    case "name":
      return by.name;
    case "address":
      return addresses.find(({ address }) => address === by.address)?.interfaceName ?? null;
    case "index":
      return addresses.find(({ zoneIndex }) => zoneIndex === by.index)?.interfaceName ?? null;
    default:
      return by satisfies never;
  }
}

/** The one in the gateway's network; a link without a network of its own (/32) has any. */
function bestIpv4(by: RouteInterface, there: readonly LocalAddress[], gateway: string): string | null {
  if (by.kind === "address") return by.address;
  const [first] = there;
  return (there.find((one) => isNear(one, gateway)) ?? first)?.address ?? null;
}

/**
 * Never one that is temporary, since a port opened for it would follow it into the grave; nor a link-local one, which
 * nobody outside can reach.
 */
function bestIpv6(there: readonly LocalAddress[], gateway: string): string | null {
  const lasting = there.filter(({ temporary, steady }) => steady && !temporary);
  const reachable = lasting.filter(({ address }) => classifyAddress(address) !== "link-local");
  const [best] = reachable.toSorted((a, b) => rank(a, gateway) - rank(b, gateway));
  return best?.address ?? null;
}

function rank(local: LocalAddress, gateway: string): number {
  const far = isNear(local, gateway) ? 0 : 1;
  const kind = classifyAddress(local.address);
  // Unique local addresses (RFC 4193) last: no visitor has a route to them.
  return far + 2 * (kind === "public" ? 0 : kind === "private" ? 2 : 1);
}

/** Whether the other address is in the network of this one. */
function isNear({ address, prefixLength }: LocalAddress, other: string): boolean {
  const own = bitsOf(address);
  const its = bitsOf(other);
  const length = prefixLength ?? own.length;
  return own.length === its.length && own.slice(0, length) === its.slice(0, length);
}

function bitsOf(address: string): string {
  return Array.from(addressBytes(address) ?? [], (byte) => byte.toString(2).padStart(8, "0")).join("");
}
