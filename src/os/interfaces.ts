import { readdirSync, readFileSync } from "node:fs";
import { networkInterfaces, platform } from "node:os";
import { errorCode } from "./errors.ts";

/** An address of this machine. */
export interface OwnAddress {
  readonly interfaceName: string;
  /** Text without a zone index. */
  readonly address: string;
  readonly family: 4 | 6;
  /** On the loopback interface. */
  readonly internal: boolean;
  /** Of its network; null = the system does not say. */
  readonly prefixLength: number | null;
  /** The number that a link-local IPv6 address has as its zone; null for all others. */
  readonly zoneIndex: number | null;
}

/** The addresses that this machine has now; they change when links come and go, so ask again rather than keep them. */
export function ownAddresses(): OwnAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, entries]) =>
    (entries ?? []).map((entry) => ({
      interfaceName,
      address: withoutZone(entry.address),
      family: entry.family === "IPv4" ? (4 as const) : (6 as const),
      internal: entry.internal,
      prefixLength: prefixLengthOf(entry.cidr),
      // Bun 1.4.5 says 0 for addresses without a zone, as Node does.
      zoneIndex: entry.family === "IPv6" ? entry.scopeid || null : null,
    })),
  );
}

/** What stands behind the % of a link-local address of that link: its name, and on Windows its number. */
export function zoneOf(interfaceName: string): string {
  if (platform() !== "win32") return interfaceName;
  const known = ownAddresses().find((one) => one.interfaceName === interfaceName && one.zoneIndex !== null);
  return known === undefined ? interfaceName : `${known.zoneIndex}`;
}

const SYSTEM_INTERFACES = "/sys/class/net";

/** Of Linux: those without an address too, which os.networkInterfaces() leaves out and a gateway's LAN may be. */
export function interfaceNames(): string[] {
  const entries = readdirSync(SYSTEM_INTERFACES, { withFileTypes: true });
  // Beside the links to interfaces there may be files of drivers (bonding_masters).
  return entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => name);
}

/** A number that Linux keeps of an interface (`ifindex`, `statistics/rx_bytes`); null when there is no such interface. */
export function interfaceNumber(name: string, file: string): number | null {
  try {
    return Number(readFileSync(`${SYSTEM_INTERFACES}/${name}/${file}`, "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** Linux: ARPHRD_NONE, which TUN devices and WireGuard have, and ARPHRD_PPP (include/uapi/linux/if_arp.h). */
const TUNNEL_TYPES = [0xfffe, 512];
/** How such interfaces are called where the system does not tell more by a file. */
const TUNNEL_NAME = /^(?:utun|tun|wg|ppp|nordlynx|proton|wireguard)/i;

/** Whether an interface leads to one other end, by way of the internet: a VPN's, most often. */
export function isTunnel(name: string): boolean {
  if (platform() !== "linux") return TUNNEL_NAME.test(name);
  const type = interfaceNumber(name, "type");
  return type !== null && TUNNEL_TYPES.includes(type);
}

function withoutZone(address: string): string {
  const zoneAt = address.indexOf("%");
  return zoneAt < 0 ? address : address.slice(0, zoneAt);
}

function prefixLengthOf(cidr: string | null): number | null {
  const length = Number(cidr?.split("/")[1] ?? Number.NaN);
  return Number.isInteger(length) ? length : null;
}
