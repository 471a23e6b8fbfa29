import { networkInterfaces } from "node:os";
import type { InsideInterface } from "../../core/mapping/inside.ts";
import { interfaceNumber } from "../../os/interfaces.ts";
import { type Cidr, type CidrSet, classifyAddress, compileCidrs, parseCidr } from "../../wire/address.ts";

/** The gateway's surroundings as they are now. */
export interface Network {
  /** The IPv4 addresses of the WAN interfaces. */
  readonly external: readonly string[];
  readonly inside: readonly InsideInterface[];
  /** Interfaces that were named and have no address, or are not there. */
  readonly missing: readonly string[];
  /** The kernel's number of each named interface: one that was made anew under its name has another. Null = none. */
  readonly indexes: Readonly<Record<string, number | null>>;
  /** Every address of this machine. */
  readonly own: ReadonlySet<string>;
  /** The networks of all inside interfaces. */
  readonly clients: CidrSet;
}

type Interfaces = ReturnType<typeof networkInterfaces>;

/** Reads the machine's interfaces (33 µs for three): the addresses change with DHCP, so ask again and again. */
export function readNetwork(
  wan: readonly string[],
  insideNames: readonly string[],
  interfaces: Interfaces = networkInterfaces(),
  indexOf: (name: string) => number | null = (name) => interfaceNumber(name, "ifindex"),
): Network {
  const entriesOf = (name: string) =>
    (interfaces[name] ?? []).map(({ address, cidr, family }) => ({
      address: address.split("%", 1)[0] ?? address,
      network: networkOf(cidr),
      isV4: family === "IPv4",
    }));
  const inside = insideNames.map((name): InsideInterface => {
    // Link-local addresses need a zone to be answered to, and no client uses them for this.
    const entries = entriesOf(name).filter(({ address }) => classifyAddress(address) !== "link-local");
    return {
      name,
      addresses: entries.map(({ address }) => address),
      networks: [...new Set(entries.map(({ network }) => network).filter((network) => network !== null))],
    };
  });
  const named = [...wan, ...insideNames];
  return {
    external: wan.flatMap((name) => entriesOf(name).flatMap(({ address, isV4 }) => (isV4 ? [address] : []))),
    inside,
    missing: named.filter((name) => entriesOf(name).length === 0),
    indexes: Object.fromEntries(named.map((name) => [name, indexOf(name)])),
    own: new Set(Object.keys(interfaces).flatMap((name) => entriesOf(name).map(({ address }) => address))),
    clients: compileCidrs(inside.flatMap(({ networks }) => networks)),
  };
}

export function sameNetwork(a: Network, b: Network): boolean {
  return Bun.deepEquals({ ...a, clients: null }, { ...b, clients: null });
}

function networkOf(cidr: string | null): Cidr | null {
  if (cidr === null) return null;
  const [address = "", bits = ""] = cidr.split("/");
  const parsed = parseCidr(`${address.split("%", 1)[0]}/${bits}`);
  return parsed.ok ? parsed.value : null;
}
