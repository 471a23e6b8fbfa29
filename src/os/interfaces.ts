import { networkInterfaces } from "node:os";

/** An address of this machine. */
export interface OwnAddress {
  readonly interfaceName: string;
  /** Text without a zone index. */
  readonly address: string;
  readonly family: 4 | 6;
  /** On the loopback interface. */
  readonly internal: boolean;
}

/** The addresses that this machine has now; they change when links come and go, so ask again rather than keep them. */
export function ownAddresses(): OwnAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, entries]) =>
    (entries ?? []).map((entry) => ({
      interfaceName,
      address: withoutZone(entry.address),
      family: entry.family === "IPv4" ? (4 as const) : (6 as const),
      internal: entry.internal,
    })),
  );
}

function withoutZone(address: string): string {
  const zoneAt = address.indexOf("%");
  return zoneAt < 0 ? address : address.slice(0, zoneAt);
}
