import { expect, test } from "bun:test";
import { isForInside } from "./console.ts";
import { readNetwork } from "./network.ts";

const network = readNetwork(
  ["wan"],
  ["lan"],
  {
    lo: [entry("127.0.0.1", "127.0.0.1/8")],
    wan: [entry("203.0.113.20", "203.0.113.20/24"), entry("2001:db8:113::20", "2001:db8:113::20/64")],
    lan: [entry("192.168.1.1", "192.168.1.1/24")],
  } as never,
  () => null,
);

function entry(address: string, cidr: string) {
  return { address, cidr, family: address.includes(":") ? "IPv6" : "IPv4" };
}

test.each([
  ["*", true],
  ["0.0.0.0", true],
  ["::", true],
  ["192.168.1.1", true],
  ["gateway.lan", true],
  // An address that is to come is nobody's yet.
  ["198.51.100.7", true],
  // A person who names the outside's own address means it.
  ["203.0.113.20", false],
  ["2001:db8:113::20", false],
  // Nothing outside reaches it anyway, and a client may have the port.
  ["127.0.0.1", false],
  ["::1", false],
  ["localhost", false],
])("a console at %s answers inside only: %p", (host, expected) => {
  expect(isForInside({ host, port: 7780 }, network)).toBe(expected);
});
