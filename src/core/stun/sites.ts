import { type AddressClass, classifyAddress, isIpv6 } from "../../wire/address.ts";

/** An address to serve STUN at. */
export interface StunSite {
  /** One of this machine's; not a wildcard, because an answer has to come from the address that was asked. */
  readonly address: string;
  /** Another site, of the same family and as public as this one, for the tests of RFC 5780; null = there is none. */
  readonly other: string | null;
}

/** A host of many bridges and containers has more addresses than anybody asks: each takes two sockets. */
const MAX_SITES = 32;
/** What nobody can ask, or only with an interface's name beside it. */
const NEVER: readonly AddressClass[] = ["unspecified", "multicast", "link-local", "metadata"];
/**
 * What a client far away reaches both of. Private addresses of one machine are often of networks that do not know each
 * other (a LAN and a bridge of containers). Reserved are the documentation's, which labs use like public ones.
 */
const REACHED_ALIKE: readonly AddressClass[] = ["public", "reserved"];

/** The sites of a machine with these addresses. Those that are reached alike are each other's second address, in a ring. */
export function stunSites(addresses: readonly string[]): readonly StunSite[] {
  const served = [...new Set(addresses)].filter((one) => !NEVER.includes(classifyAddress(one))).slice(0, MAX_SITES);
  return served.map((address) => {
    const kind = classifyAddress(address);
    const ring = REACHED_ALIKE.includes(kind)
      ? served.filter((one) => classifyAddress(one) === kind && isIpv6(one) === isIpv6(address))
      : [address];
    const next = ring[(ring.indexOf(address) + 1) % ring.length] ?? address;
    return { address, other: next === address ? null : next };
  });
}
