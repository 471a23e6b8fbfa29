import { describe, expect, test } from "bun:test";
import type { DefaultRoute, RouteInterface } from "../../wire/routes/route.ts";
import { type LocalAddress, networkOf } from "./gateways.ts";

const named = (name: string): RouteInterface => ({ kind: "name", name });
const route = (gateway: string | null, by: RouteInterface = named("eth0"), metric = 100): DefaultRoute => ({
  family: gateway?.includes(":") ? 6 : 4,
  gateway,
  interface: by,
  metric,
});
const own = (address: string, over: Partial<LocalAddress> = {}): LocalAddress => ({
  interfaceName: "eth0",
  address,
  family: address.includes(":") ? 6 : 4,
  prefixLength: address.includes(":") ? 64 : 24,
  zoneIndex: null,
  temporary: false,
  steady: true,
  ...over,
});
const ownFor = (gateway: string, addresses: readonly LocalAddress[], by?: RouteInterface): string | null =>
  networkOf([route(gateway, by)], addresses).gateways[0]?.ownAddress ?? null;

describe("the own address", () => {
  test.each<[name: string, gateway: string, addresses: LocalAddress[], expected: string | null]>([
    ["in the gateway's network", "192.168.1.1", [own("10.0.0.5"), own("192.168.1.20")], "192.168.1.20"],
    ["without a network of its own", "172.31.1.1", [own("203.0.113.7", { prefixLength: 32 })], "203.0.113.7"],
    [
      "the system does not tell its network",
      "192.168.1.1",
      [own("192.168.1.20", { prefixLength: null })],
      "192.168.1.20",
    ],
    ["only on another link", "192.168.1.1", [own("192.168.1.20", { interfaceName: "wlan0" })], null],
    ["only of the other family", "192.168.1.1", [own("2a02:1::5")], null],
    ["IPv6: a global one before a unique local one", "fe80::1", [own("fd00::5"), own("2a02:1::5")], "2a02:1::5"],
    ["IPv6: a unique local one if there is no other", "fe80::1", [own("fe80::5"), own("fd00::5")], "fd00::5"],
    ["IPv6: never a link-local one", "fe80::1", [own("fe80::5")], null],
    ["IPv6: never a temporary one", "fe80::1", [own("2a02:1::7", { temporary: true }), own("fd00::5")], "fd00::5"],
    ["IPv6: nor only that", "fe80::1", [own("2a02:1::7", { temporary: true })], null],
    ["IPv6: none that is about to go", "fe80::1", [own("2a02:1::7", { steady: false }), own("2a02:2::5")], "2a02:2::5"],
    ["IPv6: of the gateway's network", "2a02:2::1", [own("2a02:1::5"), own("2a02:2::5")], "2a02:2::5"],
    ["IPv6: a global one is worth more than that", "fd00::1", [own("fd00::5"), own("2a02:2::5")], "2a02:2::5"],
  ])("%s", (_, gateway, addresses, expected) => {
    expect(ownFor(gateway, addresses)).toBe(expected);
  });
});

describe("the interface", () => {
  test("by its address, which is the own one then", () => {
    const addresses = [own("192.168.1.21"), own("192.168.1.20")];
    expect(networkOf([route("192.168.1.1", { kind: "address", address: "192.168.1.20" })], addresses).gateways).toEqual(
      [{ family: 4, address: "192.168.1.1", interfaceName: "eth0", ownAddress: "192.168.1.20", metric: 100 }],
    );
  });
  test("by its number, the zone of its link-local address", () => {
    const addresses = [own("fe80::5", { zoneIndex: 12 }), own("2a02:1::5")];
    expect(ownFor("fe80::1", addresses, { kind: "index", index: 12 })).toBe("2a02:1::5");
    expect(ownFor("fe80::1", addresses, { kind: "index", index: 13 })).toBeNull();
  });
  test("that is not there", () => {
    expect(ownFor("192.168.1.1", [own("192.168.1.20")], { kind: "address", address: "192.168.1.9" })).toBeNull();
  });
});

test("the lowest metric comes first, a VPN's half before all, and the same router once", () => {
  const routes = [
    route("192.168.1.1", named("wlan0"), 600),
    route("192.168.1.1", named("eth0"), 100),
    route("192.168.1.1", named("eth0"), 200),
    route("10.8.0.1", named("tun0"), -1),
    route(null, named("wg0"), 50),
  ];
  const addresses = [
    own("192.168.1.20"),
    own("192.168.1.21", { interfaceName: "wlan0" }),
    own("10.8.0.2", { interfaceName: "tun0" }),
  ];
  const { gateways, pointToPoint } = networkOf(routes, addresses);
  expect(gateways.map(({ interfaceName, metric }) => `${interfaceName} ${metric}`)).toEqual([
    "tun0 -1",
    "eth0 100",
    "wlan0 600",
  ]);
  expect(pointToPoint).toEqual([{ family: 4, interfaceName: "wg0", metric: 50 }]);
});
