import { addressBytes, classifyAddress } from "../../wire/address.ts";
import { type Gateway, ROUTER_PROTOCOLS, type RouterFailure, type RouterProtocol } from "./model.ts";

/** One protocol of one router, as it answered. */
export interface ProtocolFacts {
  readonly protocol: RouterProtocol;
  readonly family: 4 | 6;
  /** Why it opens no ports; null = it does. */
  readonly failure: RouterFailure | null;
  /** The router's IPv4 address outside; null = it does not tell. */
  readonly externalAddress: string | null;
}

export interface ByFamily<T> {
  readonly v4: T;
  readonly v6: T;
}

/** What was found out about this machine's way to the internet. Null = not found, or not known. */
export interface NetworkFacts {
  readonly gateways: ByFamily<Gateway | null>;
  readonly protocols: readonly ProtocolFacts[];
  /** This machine's address as a STUN server outside sees it. */
  readonly seen: ByFamily<string | null>;
  /** Every address of this machine, of all its interfaces. */
  readonly ownAddresses: readonly string[];
  /** The interface that the default route leaves by when it names no router there: a VPN's. */
  readonly tunnels: ByFamily<string | null>;
}

/** What the verdict rests on. */
export type VerdictCause =
  | "own-public"
  | "tunnel"
  | "no-router"
  | "no-ipv4"
  | "line-down"
  | "shared-outside"
  | "shared-inside"
  | "translated-ipv4"
  | "outless"
  | "not-internet"
  | "seen-otherwise"
  | "home-range-outside"
  | "private-outside"
  | "no-protocol"
  | "seen-same"
  | "unconfirmed"
  | "untold";

/**
 * What an IPv4 address says of who gave it. shared: RFC 6598, for providers' translators alone. home: what routers for
 * homes hand out. private: the rest of RFC 1918. ds-lite: RFC 6333. unusable: nobody gave one.
 */
export type AddressRange = "shared" | "home" | "private" | "ds-lite" | "unusable" | "reserved" | "public";

export function rangeOf(address: string): AddressRange {
  const [a = 0, b = 0, c = 0] = addressBytes(address) ?? [];
  if (a === 100 && b >= 64 && b < 128) return "shared"; // 100.64.0.0/10
  if (a === 192 && b === 0 && c === 0) return "ds-lite"; // 192.0.0.0/24, of it /29
  const kind = classifyAddress(address);
  switch (kind) {
    case "public":
    case "reserved":
      return kind;
    case "private":
      return a === 192 ? "home" : "private";
    case "loopback":
    case "link-local":
    case "metadata":
    case "unspecified":
    case "multicast":
      return "unusable";
    default:
      return kind satisfies never;
  }
}

/** The router's IPv4 address outside: the one that the outside sees too, else by the best protocol that tells one. */
export function routerAddress({ protocols, seen }: NetworkFacts): string | null {
  const told = ROUTER_PROTOCOLS.flatMap((protocol) =>
    protocols.flatMap((one) => (one.protocol === protocol && one.family === 4 ? [one.externalAddress] : [])),
  ).filter((address) => address !== null);
  return told.find((address) => address === seenOutside(seen.v4)) ?? told[0] ?? null;
}

/** Whether a protocol opens ports there. */
export function opensPorts({ protocols }: NetworkFacts, family: 4 | 6): boolean {
  return protocols.some((one) => one.family === family && one.failure === null);
}

/** Null when whoever saw it is in the same private network: that says nothing of the internet. */
export function seenOutside(seen: string | null): string | null {
  if (seen === null) return null;
  const range = rangeOf(seen);
  return range === "public" || range === "reserved" ? seen : null;
}

/** This machine's own IPv4 address when the internet reaches it, as far as is known. */
export function publicIpv4Here({ ownAddresses, gateways, seen }: NetworkFacts): string | null {
  const outside = seenOutside(seen.v4);
  if (outside !== null) return ownAddresses.includes(outside) ? outside : null;
  const towardsRouter = gateways.v4?.ownAddress ?? null;
  return towardsRouter !== null && classifyAddress(towardsRouter) === "public" ? towardsRouter : null;
}

/** An address of this machine that IPv6 visitors can come to, if the router lets them. */
export function publicIpv6Here({ gateways, seen, ownAddresses }: NetworkFacts): string | null {
  if (gateways.v6 === null) return null;
  const candidates = [seen.v6, gateways.v6.ownAddress].filter((one) => one !== null && ownAddresses.includes(one));
  return candidates.find((one) => one !== null && classifyAddress(one) === "public") ?? null;
}
