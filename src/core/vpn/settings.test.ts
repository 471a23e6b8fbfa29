import { describe, expect, test } from "bun:test";
import type { Cidr } from "../../wire/address.ts";
import { checkVpnSettings, defaultVpnSettings, serverAddresses, type VpnSettings } from "./settings.ts";
import { SETTINGS } from "./vpn.fixture.ts";

const cidrs = (...texts: string[]) => texts as Cidr[];

describe("settings of a first start", () => {
  test("have a unique local network from the chance that is passed in (RFC 4193)", () => {
    const random = Uint8Array.from([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
    const settings = defaultVpnSettings("203.0.113.1", random);
    expect(settings).toEqual({
      network4: "10.77.0.0/24" as Cidr,
      network6: "fd12:3456:789a:bcde::/64" as Cidr,
      listenPort: 51820,
      endpointHost: "203.0.113.1",
      dns: [],
      mtu: 1420,
    });
    expect(checkVpnSettings(settings, cidrs("192.168.1.0/24", "10.76.0.0/16"))).toEqual({ ok: true, value: settings });
  });

  test("give the server the first address of each network", () => {
    expect(serverAddresses(SETTINGS)).toEqual([
      { address: "10.77.0.1", prefix: 24 },
      { address: "fd01:101:101:101::1", prefix: 64 },
    ]);
  });
});

describe("settings that no server can run with", () => {
  test.each<[string, Partial<VpnSettings>, string]>([
    ["a LAN's network within the VPN's", { network4: "192.168.0.0/16" as Cidr }, "overlaps 192.168.1.0/24"],
    ["the VPN's network within a LAN's", { network4: "192.168.1.128/25" as Cidr }, "overlaps 192.168.1.0/24"],
    ["an IPv6 network in use", { network6: "fd00:77::/64" as Cidr }, "overlaps fd00:77::/64"],
    ["families swapped", { network4: SETTINGS.network6 }, "IPv4 network is an IPv4 network"],
    ["a network of one", { network4: "10.77.0.0/31" as Cidr }, "/16 to /30"],
    ["a network too large", { network4: "10.0.0.0/8" as Cidr }, "/16 to /30"],
    ["too few IPv6 hosts", { network6: "fd00::/120" as Cidr }, "/48 to /112"],
    ["loopback", { network4: "127.1.0.0/24" as Cidr }, "(loopback) cannot be given to peers"],
    ["link-local", { network6: "fe80::/64" as Cidr }, "(link-local) cannot be given to peers"],
    ["no port", { listenPort: 0 }, "listen port is a number from 1"],
    ["an MTU that IPv6 cannot use", { mtu: 1279 }, "MTU is a number from 1280"],
    ["an MTU that is no number", { mtu: Number.NaN }, "MTU is a number"],
  ])("%s", (_what, change, words) => {
    const checked = checkVpnSettings({ ...SETTINGS, ...change }, cidrs("192.168.1.0/24", "fd00:77::/64"));
    expect(checked.ok ? "" : checked.error.message).toContain(words);
  });
});
