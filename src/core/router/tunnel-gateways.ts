import { addressBytes, addressFromBytes } from "../../wire/address.ts";

export interface TunnelAddress {
  readonly interfaceName: string;
  /** Canonical, without a zone. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly prefixLength: number | null;
}

const IPV4_BITS = 32;
/** A tunnel's own address is often given alone (/32): VPNs number their clients from a network of this size or larger. */
const USUAL_PREFIX_LENGTH = 24;
/** Of two addresses each is an end (RFC 3021), and of one there is no other. */
const SHORTEST_NETWORK = 30;

/**
 * Where the gateway of each tunnel is to be expected: WireGuard has routes and no router, so nothing tells it. VPN
 * servers have the first address of the network that they hand out (Proton 10.2.0.1, wg-quick's and our own default), and
 * answer NAT-PMP there. `tunnels`: by name, the most wanted first. IPv4: no VPN is known that opens IPv6 ports so.
 */
export function tunnelGateways(tunnels: readonly string[], addresses: readonly TunnelAddress[]): string[] {
  const found = tunnels.flatMap((name) =>
    addresses
      .filter(({ interfaceName, family }) => interfaceName === name && family === 4)
      .flatMap((one) => {
        const first = firstHost(one);
        return first === null || first === one.address ? [] : [first];
      }),
  );
  return [...new Set(found)];
}

function firstHost({ address, prefixLength }: TunnelAddress): string | null {
  const bytes = addressBytes(address);
  if (bytes === null) return null;
  const told = prefixLength ?? IPV4_BITS;
  const length = told > SHORTEST_NETWORK ? USUAL_PREFIX_LENGTH : told;
  const network = bytes.map((byte, index) => byte & maskOf(length - 8 * index));
  return addressFromBytes(network.with(-1, (network.at(-1) ?? 0) + 1));
}

/** Of one byte, whose first `bits` are the network's. */
function maskOf(bits: number): number {
  return (0xff00 >> Math.min(8, Math.max(0, bits))) & 0xff;
}
