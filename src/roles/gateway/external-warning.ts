import { classifyAddress, compileCidrs, parseCidr } from "../../wire/address.ts";

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
  switch (classifyAddress(address)) {
    case "public":
      return null;
    case "private":
      return `${at}, a private one: forwards only work from that network; lead the same ports here on the router in front, and say public in [gateway].`;
    default:
      return `${at}, which the internet does not route: forwards only work from the same network.`;
  }
}

function isShared(address: string): boolean {
  const shared = parseCidr("100.64.0.0/10");
  return shared.ok && compileCidrs([shared.value]).contains(address);
}
