import { addressFromBytes } from "../address.ts";
import { fromHex } from "../hex.ts";
import { type DefaultRoute, defaultMetric, readRoutes } from "./route.ts";

/** linux/route.h and linux/ipv6_route.h. */
const FLAG = { up: 0x1, gateway: 0x2, reject: 0x200 } as const;
const BITS_PER_BYTE = 8;
const NUMBER = { decimal: /^\d{1,10}$/, hex: /^[0-9a-f]{1,8}$/i } as const;

/**
 * The default routes of /proc/net/route: interface, destination, gateway, flags, references, use, metric, mask. Addresses
 * are a kernel's number in hexadecimal: with the bytes of each turned round where the machine is little-endian.
 */
export function decodeLinuxRoutes4(text: string, littleEndian: boolean): DefaultRoute[] {
  return readRoutes(text, (line) => {
    const [name = "", destination = "", gateway = "", flagText = "", , , metricText = "", mask = ""] =
      line.split(/\s+/);
    const flags = numberOf(flagText, "hex");
    const routeMetric = numberOf(metricText, "decimal");
    const [to, via, maskBytes] = [destination, gateway, mask].map((field) => addressField(field, littleEndian));
    if (flags === null || routeMetric === null || !to || !via || !maskBytes || !isUsable(flags)) return null;
    const metric = defaultMetric(4, textOf(to), prefixLengthOf(maskBytes), routeMetric);
    if (metric === null) return null;
    return routeOf(4, name, flags, textOf(via), metric);
  });
}

/** The default routes of /proc/net/ipv6_route: destination/length, source/length, gateway, metric, 2 counts, flags, name. */
export function decodeLinuxRoutes6(text: string): DefaultRoute[] {
  return readRoutes(text, (line) => {
    const [to = "", toLength = "", , , via = "", metricText = "", , , flagText = "", name = ""] = line.split(/\s+/);
    const flags = numberOf(flagText, "hex");
    const routeMetric = numberOf(metricText, "hex");
    const prefixLength = numberOf(toLength, "hex");
    const destination = fromHex(to);
    const gateway = fromHex(via);
    if (flags === null || routeMetric === null || prefixLength === null) return null;
    if (destination?.length !== 16 || gateway?.length !== 16 || name === "" || !isUsable(flags)) return null;
    const metric = defaultMetric(6, textOf(destination), prefixLength, routeMetric);
    return metric === null ? null : routeOf(6, name, flags, textOf(gateway), metric);
  });
}

/** A machine without IPv6 has one that refuses everything, on `lo`. */
function isUsable(flags: number): boolean {
  return (flags & FLAG.up) !== 0 && (flags & FLAG.reject) === 0;
}

function routeOf(family: 4 | 6, name: string, flags: number, gateway: string, metric: number): DefaultRoute {
  return {
    family,
    gateway: (flags & FLAG.gateway) === 0 ? null : gateway,
    interface: { kind: "name", name },
    metric,
  };
}

/** linux/if_addr.h. */
const ADDRESS_FLAG = { temporary: 0x01, failedDuplicate: 0x08, deprecated: 0x20, tentative: 0x40 } as const;

/** An IPv6 address of Linux, by what it is good for. */
export interface LinuxAddress6 {
  /** Canonical. */
  readonly address: string;
  readonly interfaceName: string;
  /** RFC 8981: another one takes its place within days. */
  readonly temporary: boolean;
  /** It may be used, and is not about to go: neither deprecated, nor tentative, nor another machine's. */
  readonly steady: boolean;
}

/** /proc/net/if_inet6: address, interface's number, prefix length, scope, flags, name. */
export function decodeLinuxAddresses6(text: string): LinuxAddress6[] {
  return readRoutes(text, (line) => {
    const [addressText = "", , , , flagText = "", interfaceName = ""] = line.split(/\s+/);
    const bytes = fromHex(addressText);
    const flags = numberOf(flagText, "hex");
    if (bytes?.length !== 16 || flags === null || interfaceName === "") return null;
    const passing = ADDRESS_FLAG.failedDuplicate | ADDRESS_FLAG.deprecated | ADDRESS_FLAG.tentative;
    return {
      address: textOf(bytes),
      interfaceName,
      temporary: (flags & ADDRESS_FLAG.temporary) !== 0,
      steady: (flags & passing) === 0,
    };
  });
}

function addressField(text: string, littleEndian: boolean): Uint8Array | null {
  const bytes = fromHex(text);
  if (bytes?.length !== 4) return null;
  return littleEndian ? bytes.reverse() : bytes;
}

function textOf(bytes: Uint8Array): string {
  return addressFromBytes(bytes) ?? "";
}

function prefixLengthOf(mask: Uint8Array): number {
  const bits = [...mask].map((byte) => byte.toString(2).padStart(BITS_PER_BYTE, "0")).join("");
  const end = bits.indexOf("0");
  return end < 0 ? bits.length : end;
}

function numberOf(text: string, base: keyof typeof NUMBER): number | null {
  return NUMBER[base].test(text) ? Number.parseInt(text, base === "hex" ? 16 : 10) : null;
}
