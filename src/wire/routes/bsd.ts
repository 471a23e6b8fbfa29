import { isIpv6, parseAddress } from "../address.ts";
import { type DefaultRoute, defaultMetric, readRoutes } from "./route.ts";

/**
 * A route for programs that ask for this interface (RTF_IFSCOPE): macOS has one for each that is not the first, and for
 * each of its own utun interfaces, which carry none of the machine's other traffic.
 */
const SCOPED_FLAG = "I";
/** Routes that lead nowhere on purpose: reject, blackhole. */
const DEAD_FLAGS = /[RB]/;
/** The link-local network itself: what macOS shows for the other end of a tunnel. */
const NOBODY = "fe80::";
/** Before all that are for an interface only. */
const FIRST_SCOPED_METRIC = 1000;

interface Row {
  readonly gateway: string | null;
  readonly name: string;
  readonly scoped: boolean;
  /** -1 and less: a part of the internet. */
  readonly part: number;
}

/**
 * The default routes of `netstat -rn -f inet` (or inet6) of macOS and the BSDs: destination, gateway, flags, sometimes
 * two counts, the interface. They have no metric: the first is used, so its place in the list is one.
 */
export function decodeBsdRoutes(text: string, family: 4 | 6): DefaultRoute[] {
  let column: number | null = null;
  const rows = readRoutes(text, (line): Row | null => {
    const fields = line.split(/\s+/);
    if (fields[0] === "Destination") column = fields.indexOf("Netif");
    return column === null ? null : readRow(fields, column, family);
  });
  const usable = rows.filter(({ gateway, scoped }) => gateway !== null || !scoped);
  return usable.map(({ gateway, name, scoped, part }, place) => ({
    family,
    gateway,
    interface: { kind: "name", name },
    metric: part < 0 ? part : place + (scoped ? FIRST_SCOPED_METRIC : 0),
  }));
}

function readRow(fields: readonly string[], column: number, family: 4 | 6): Row | null {
  const [destination = "", gatewayText = "", flags = ""] = fields;
  const part = partOf(destination, family);
  const name = fields[column];
  if (part === null || name === undefined || DEAD_FLAGS.test(flags)) return null;
  return { gateway: gatewayOf(gatewayText, family), name, scoped: flags.includes(SCOPED_FLAG), part };
}

/** 0 = all of the internet; null = a network. netstat leaves out the zeros at an IPv4 destination's end: `0/1`. */
function partOf(destination: string, family: 4 | 6): number | null {
  if (destination === "default") return 0;
  const [network = "", lengthText = ""] = destination.split("/");
  if (!/^\d{1,3}$/.test(lengthText)) return null;
  const full = family === 4 && /^\d+(\.\d+){0,2}$/.test(network) ? withZeros(network) : network;
  const parsed = parseAddress(full);
  return parsed.ok ? defaultMetric(family, parsed.value, Number(lengthText), 0) : null;
}

function withZeros(network: string): string {
  const bytes = network.split(".");
  return [...bytes, "0", "0", "0"].slice(0, 4).join(".");
}

/** Null for `link#14`, an interface instead of a router. */
function gatewayOf(text: string, family: 4 | 6): string | null {
  const parsed = parseAddress(text.split("%")[0] ?? "");
  if (!parsed.ok || isIpv6(parsed.value) !== (family === 6)) return null;
  return parsed.value === NOBODY ? null : parsed.value;
}

/** The temporary IPv6 addresses (RFC 8981) that `ifconfig` shows, canonical. */
export function decodeIfconfigTemporaries(text: string): string[] {
  return readRoutes(text, (line) => {
    const [word, address = "", ...rest] = line.split(/\s+/);
    if (word !== "inet6" || !rest.includes("temporary")) return null;
    const parsed = parseAddress(address.split("%")[0] ?? "");
    return parsed.ok ? parsed.value : null;
  });
}
