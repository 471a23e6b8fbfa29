import { addressBytes, addressFromBytes, type Cidr, compileCidrs, isIpv6, parseCidr } from "../../wire/address.ts";

export interface NetworkParts {
  readonly address: string;
  readonly prefix: number;
  readonly family: 4 | 6;
}

export function networkParts(network: Cidr): NetworkParts {
  const slash = network.indexOf("/");
  const address = network.slice(0, slash);
  return { address, prefix: Number(network.slice(slash + 1)), family: isIpv6(address) ? 6 : 4 };
}

/** Host `number` of a network: 1 of 10.77.0.0/24 is 10.77.0.1. The number fits the network's last 32 bits. */
export function hostAddress(network: Cidr, number: number): string {
  const bytes = addressBytes(networkParts(network).address) ?? new Uint8Array();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const last = bytes.length - Uint32Array.BYTES_PER_ELEMENT;
  view.setUint32(last, view.getUint32(last) + number);
  return addressFromBytes(bytes) ?? "";
}

/** The network of one address: a /32 or /128. */
export function hostNetwork(address: string): Cidr {
  const cidr = parseCidr(address);
  if (!cidr.ok) throw new TypeError(`${address} is not an address`);
  return cidr.value;
}

/** Networks nest or are apart. */
export function overlap(a: Cidr, b: Cidr): boolean {
  const holds = (outer: Cidr, inner: Cidr) => compileCidrs([outer]).contains(networkParts(inner).address);
  return holds(a, b) || holds(b, a);
}
