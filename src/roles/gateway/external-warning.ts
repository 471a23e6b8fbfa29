import { classifyAddress, compileCidrs, parseCidr } from "../../wire/address.ts";

const isShared = within(["100.64.0.0/10"]);
/** RFC 5737: what a laboratory or an example uses stands for an address of the internet. */
const isExample = within(["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]);

/**
 * One sentence for the operator when forwards will not work from everywhere by the WAN's IPv4 address; null = they will.
 * Nobody asks when the operator names another public address.
 */
export function externalWarning(address: string | null): string | null {
  if (address === null)
    return "The WAN interface has no IPv4 address: nothing can be forwarded over IPv4 until it has one.";
  const at = `The WAN address is ${address}`;
  if (isShared(address)) {
    return `${at}, which the provider shares between customers (CGNAT, RFC 6598): forwards only work from inside the provider's network; ask the provider for a public address, or use a relay.`;
  }
  if (isExample(address)) return null;
  switch (classifyAddress(address)) {
    case "public":
      return null;
    case "private":
      return `${at}, a private one: forwards only work from that network; lead the same ports here on the router in front, and say public in [gateway].`;
    default:
      return `${at}, which the internet does not route: forwards only work from the same network.`;
  }
}

function within(networks: readonly string[]): (address: string) => boolean {
  const parsed = networks.map(parseCidr).flatMap((network) => (network.ok ? [network.value] : []));
  const compiled = compileCidrs(parsed);
  return (address) => compiled.contains(address);
}
