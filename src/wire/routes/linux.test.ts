import { describe, expect, test } from "bun:test";
import { decodeLinuxAddresses6, decodeLinuxRoutes4, decodeLinuxRoutes6 } from "./linux.ts";

const HEAD =
  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n";
const row4 = (name: string, to: string, via: string, flags: string, metric: number, mask = "00000000") =>
  `${name}\t${to}\t${via}\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0                                                   \n`;
const name = (interfaceName: string) => ({ kind: "name" as const, name: interfaceName });
const v4 = (gateway: string | null, interfaceName: string, metric: number) => ({
  family: 4 as const,
  gateway,
  interface: name(interfaceName),
  metric,
});

describe("/proc/net/route", () => {
  test("two default routes, and the networks between are none", () => {
    const text = [
      HEAD,
      row4("eth0", "00000000", "0101A8C0", "0003", 100),
      row4("wlan0", "00000000", "0101A8C0", "0003", 600),
      row4("eth0", "0001A8C0", "00000000", "0001", 100, "00FFFFFF"),
    ].join("");
    expect(decodeLinuxRoutes4(text, true)).toEqual([v4("192.168.1.1", "eth0", 100), v4("192.168.1.1", "wlan0", 600)]);
  });

  test.each<[name: string, row: string, expected: unknown[]]>([
    ["a VPN without a router", row4("tun0", "00000000", "00000000", "0001", 50), [v4(null, "tun0", 50)]],
    [
      "a half, as OpenVPN makes it",
      row4("tun0", "00000000", "01080A0A", "0003", 0, "00000080"),
      [v4("10.10.8.1", "tun0", -1)],
    ],
    ["the other half stands for nothing", row4("tun0", "00000080", "01080A0A", "0003", 0, "00000080"), []],
    ["a network that begins at 0", row4("eth0", "00000000", "0101A8C0", "0003", 0, "000000FE"), []],
    ["a route that is down", row4("eth0", "00000000", "0101A8C0", "0002", 0), []],
    ["one that refuses", row4("*", "00000000", "00000000", "0201", 0), []],
    ["a line that was cut", row4("eth0", "00000000", "0101A8C0", "0003", 100).slice(0, 30), []],
    ["no number as its metric", row4("eth0", "00000000", "0101A8C0", "0003", Number.NaN), []],
    ["an address too long", row4("eth0", "0000000000", "0101A8C0", "0003", 0), []],
  ])("%s", (_, row, expected) => {
    expect(decodeLinuxRoutes4(HEAD + row, true)).toEqual(expected as ReturnType<typeof decodeLinuxRoutes4>);
  });

  test("a big-endian machine writes the bytes in order", () => {
    expect(decodeLinuxRoutes4(HEAD + row4("eth0", "00000000", "C0A80101", "0003", 0), false)).toEqual([
      v4("192.168.1.1", "eth0", 0),
    ]);
  });
});

describe("/proc/net/ipv6_route", () => {
  const NOWHERE = "0".repeat(32);
  const FE80_1 = "fe800000000000000000000000000001";
  const row6 = (to: string, length: string, via: string, metric: string, flags: string, interfaceName: string) =>
    `${to} ${length} ${NOWHERE} 00 ${via} ${metric} 00000001 00000000 ${flags}     ${interfaceName}\n`;
  const v6 = (gateway: string | null, interfaceName: string, metric: number) => ({
    ...v4(gateway, interfaceName, metric),
    family: 6 as const,
  });

  test.each<[name: string, row: string, expected: unknown[]]>([
    [
      "by a router advertisement",
      row6(NOWHERE, "00", FE80_1, "00000400", "00450003", "eth0"),
      [v6("fe80::1", "eth0", 1024)],
    ],
    ["a point-to-point link", row6(NOWHERE, "00", NOWHERE, "00000400", "00000001", "wg0"), [v6(null, "wg0", 1024)]],
    ["a half", row6(NOWHERE, "01", NOWHERE, "00000400", "00000001", "tun0"), [v6(null, "tun0", -1)]],
    [
      "all that is handed out",
      row6(`2${"0".repeat(31)}`, "03", NOWHERE, "00000400", "00000001", "tun0"),
      [v6(null, "tun0", -3)],
    ],
    ["one that refuses, of a machine without IPv6", row6(NOWHERE, "00", NOWHERE, "ffffffff", "00200200", "lo"), []],
    ["a network", row6("fd000077000000000000000000000000", "40", NOWHERE, "00000100", "00000001", "eth0"), []],
    ["no name", row6(NOWHERE, "00", FE80_1, "00000400", "00450003", ""), []],
  ])("%s", (_, row, expected) => {
    expect(decodeLinuxRoutes6(row)).toEqual(expected as ReturnType<typeof decodeLinuxRoutes6>);
  });
});

test("/proc/net/if_inet6 tells which addresses last", () => {
  const row = (address: string, flags: string) => `${address} 02 40 00 ${flags}     eth0\n`;
  const global = "20010db8000100000000000000000005";
  const flags: [string, boolean, boolean][] = [
    ["00", false, true],
    ["80", false, true],
    ["01", true, true],
    ["21", true, false],
    ["40", false, false],
    ["88", false, false],
    // Newer kernels have flags beyond the first byte: an address without a route of its own, from DHCP or the router.
    ["300", false, true],
  ];
  const text = flags.map(([flag]) => row(global, flag)).join("");
  expect(decodeLinuxAddresses6(text)).toEqual(
    flags.map(([, temporary, steady]) => ({ address: "2001:db8:1::5", interfaceName: "eth0", temporary, steady })),
  );
  expect(decodeLinuxAddresses6("20010db8 02 40 00 80 eth0\nnonsense\n")).toEqual([]);
});

test("a table without an end is read up to a bound", () => {
  const text = row4("eth0", "00000000", "0101A8C0", "0003", 0).repeat(100_000);
  expect(decodeLinuxRoutes4(text, true)).toHaveLength(256);
});
