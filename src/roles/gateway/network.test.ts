import { expect, test } from "bun:test";
import { readNetwork, sameNetwork } from "./network.ts";

const entry = (address: string, cidr: string) => ({
  address,
  cidr,
  netmask: "",
  mac: "02:00:00:00:00:01",
  internal: false,
  ...(address.includes(":") ? { family: "IPv6" as const, scopeid: 0 } : { family: "IPv4" as const }),
});
const INTERFACES = {
  eth0: [entry("203.0.113.1", "203.0.113.1/24"), entry("2001:db8::1", "2001:db8::1/64")],
  br0: [entry("192.168.1.1", "192.168.1.1/24"), entry("fd00::1", "fd00::1/64"), entry("fe80::1%br0", "fe80::1/64")],
};

test("outside and inside are told apart, and what has no address is missed", () => {
  const network = readNetwork(["eth0"], ["br0", "wlan0"], INTERFACES, () => 7);
  expect(network).toMatchObject({
    external: ["203.0.113.1"],
    inside: [
      { name: "br0", addresses: ["192.168.1.1", "fd00::1"], networks: ["192.168.1.0/24", "fd00::/64"] },
      { name: "wlan0", addresses: [], networks: [] },
    ],
    missing: ["wlan0"],
  });
  expect([...network.own]).toContain("203.0.113.1");
  expect(["192.168.1.7", "fd00::7", "203.0.113.7"].map((host) => network.clients.contains(host))).toEqual([
    true,
    true,
    false,
  ]);
});

test("another address is another network, a new look at the same is not", () => {
  const look = (interfaces: typeof INTERFACES, index = 7) => readNetwork(["eth0"], ["br0"], interfaces, () => index);
  expect(sameNetwork(look(INTERFACES), look(INTERFACES))).toBe(true);
  const moved = { ...INTERFACES, eth0: [entry("203.0.113.2", "203.0.113.2/24")] };
  expect(sameNetwork(look(INTERFACES), look(moved))).toBe(false);
  expect(sameNetwork(look(INTERFACES), look(INTERFACES, 8))).toBe(false);
});
