import type { InsideInterface } from "../../core/mapping/inside.ts";
import { compileCidrs, isIpv6 } from "../../wire/address.ts";

/** The neighbours on one interface, ready for look-ups. */
export interface Inside {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly v4: readonly string[];
  /** Whether this is a host on the link; off-link ones get nothing, not even a refusal. */
  holds(source: string): boolean;
  /** The gateway's IPv4 address that the host shares a network with; null when it is no neighbour. */
  addressFor(source: string): string | null;
}

export function newInside({ name, addresses, networks }: InsideInterface): Inside {
  const all = compileCidrs(networks);
  const v4 = addresses.filter((address) => !isIpv6(address));
  const sets = networks.map((network) => compileCidrs([network]));
  const nearby = v4.map((address) => ({ address, sets: sets.filter((set) => set.contains(address)) }));
  return {
    name,
    addresses,
    v4,
    holds: (source) => all.contains(source),
    addressFor: (source) => nearby.find((one) => one.sets.some((set) => set.contains(source)))?.address ?? null,
  };
}
