import { parseAddress } from "../../src/wire/address.ts";
import { decodeBsdRoutes, decodeIfconfigTemporaries } from "../../src/wire/routes/bsd.ts";
import { decodeLinuxAddresses6, decodeLinuxRoutes4, decodeLinuxRoutes6 } from "../../src/wire/routes/linux.ts";
import type { DefaultRoute } from "../../src/wire/routes/route.ts";
import { decodeWindowsRoutes4, decodeWindowsRoutes6 } from "../../src/wire/routes/windows.ts";
import { type FuzzCodec, must, mustBeSmall, text } from "./codec.ts";

const NOWHERE = "0".repeat(32);

function routesCodec(
  name: string,
  seeds: readonly string[],
  decode: (written: string) => readonly DefaultRoute[],
): FuzzCodec {
  return {
    name,
    seeds: text(...seeds),
    check(input) {
      const routes = decode(new TextDecoder().decode(input));
      must(routes.length <= 256 && routes.length <= input.length, "routes are bounded");
      for (const { family, gateway, interface: by, metric } of routes) {
        must(Number.isSafeInteger(metric), "a metric is a number");
        must(by.kind !== "name" || by.name !== "", "an interface has a name");
        if (gateway === null) continue;
        const parsed = parseAddress(gateway);
        must(parsed.ok && parsed.value === gateway, "a gateway is a canonical address");
        must(gateway.includes(":") === (family === 6) || gateway.includes("."), "of its family");
      }
      return routes.length > 0;
    },
  };
}

/** Tables that the system's own programs print. */
export const routes: readonly FuzzCodec[] = [
  routesCodec(
    "routes-linux4",
    ["Iface Destination\neth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", "tun0 00000000 0 1 0 0 0 80"],
    (written) => [...decodeLinuxRoutes4(written, true), ...decodeLinuxRoutes4(written, false)],
  ),
  routesCodec(
    "routes-linux6",
    [`${NOWHERE} 00 ${NOWHERE} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003 eth0\n`],
    decodeLinuxRoutes6,
  ),
  routesCodec(
    "routes-bsd4",
    ["Destination Gateway Flags Netif\ndefault 192.168.1.1 UGSc en0\n0/1 link#1 US utun0\n", "Destination Netif\n"],
    (written) => decodeBsdRoutes(written, 4),
  ),
  routesCodec(
    "routes-bsd6",
    ["Destination Gateway Flags Netif\ndefault fe80::1%en0 UGcg en0\n::/1 fe80::%utun0 UGcI utun0\n"],
    (written) => decodeBsdRoutes(written, 6),
  ),
  routesCodec(
    "routes-windows4",
    ["  0.0.0.0  0.0.0.0  192.168.1.1  192.168.1.23  25\r\n0.0.0.0 128.0.0.0 Auf Verbindung 10.8.0.2 5\r\n"],
    decodeWindowsRoutes4,
  ),
  routesCodec("routes-windows6", [" 12    281 ::/0   fe80::1\r\n 17 5 ::/1 On-link\r\n"], decodeWindowsRoutes6),
  {
    name: "own-addresses",
    seeds: text(
      "20010db8000100000000000000000005 02 40 00 01     eth0\n",
      "\tinet6 2001:db8:1::7:8%en0 prefixlen 64 autoconf temporary\n",
    ),
    check(input) {
      const written = new TextDecoder().decode(input);
      const found = [
        ...decodeLinuxAddresses6(written).map(({ address }) => address),
        ...decodeIfconfigTemporaries(written),
      ];
      mustBeSmall(found.length, input.length);
      for (const address of found) must(parseAddress(address).ok, "an address is one");
      return found.length > 0;
    },
  },
];
