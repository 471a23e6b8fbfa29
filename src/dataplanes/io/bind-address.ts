import { addressBytes, addressFromBytes, isIpv6 } from "../../wire/address.ts";
import { ANY_HOST } from "../../wire/endpoint.ts";

const ANY_V6 = "::";
const ANY_V4 = "0.0.0.0";
const MAPPED_PREFIX = "::ffff:";

/** The addresses to try for a bind address as written: `*` is every address, of both families where there is IPv6. */
export function bindCandidates(bind: string): readonly string[] {
  return bind === ANY_HOST ? [ANY_V6, ANY_V4] : [bind];
}

/** A socket bound to it is reached at any address of the machine. */
export function isWildcard(address: string): boolean {
  return address === ANY_V6 || address === ANY_V4;
}

/** The address as an Endpoint writes it: a dual-stack socket shows IPv4 peers as `::ffff:192.0.2.1`. */
export function unmapped(address: string): string {
  return address.startsWith(MAPPED_PREFIX) && address.includes(".") ? address.slice(MAPPED_PREFIX.length) : address;
}

/** A peer's address as a socket shows it, in canonical text: without a zone, and IPv4-mapped addresses as IPv4. */
export function canonicalPeer(address: string): string {
  const bytes = addressBytes(address);
  return (bytes === null ? null : addressFromBytes(bytes)) ?? address;
}

/**
 * The entry's address as a PROXY protocol header names it to a visitor's service. A UDP socket does not tell which address
 * a datagram came to: on a wildcard it is the wildcard of the visitor's family, so that both addresses are of one family.
 */
export function entryAddress(bound: string, visitor: string): string {
  if (isWildcard(bound)) return isIpv6(visitor) ? ANY_V6 : ANY_V4;
  return unmapped(bound);
}
