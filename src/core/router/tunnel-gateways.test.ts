import { describe, expect, test } from "bun:test";
import { tunnelGateways } from "./tunnel-gateways.ts";

const at = (interfaceName: string, cidr: string, family: 4 | 6 = 4) => {
  const [address = "", length] = cidr.split("/");
  return { interfaceName, address, family, prefixLength: length === undefined ? null : Number(length) };
};

describe("the gateway of a tunnel is the first address of its network", () => {
  test.each([
    ["a client's address alone", "10.2.0.2/32", ["10.2.0.1"]],
    ["of a network", "10.77.3.9/16", ["10.77.0.1"]],
    ["of a small one", "10.8.0.14/28", ["10.8.0.1"]],
    ["in the middle of a byte", "10.8.0.78/29", ["10.8.0.73"]],
    ["two ends", "10.8.0.6/31", ["10.8.0.1"]],
    ["the length is not told", "10.8.0.6", ["10.8.0.1"]],
    ["its own: it is the server", "10.77.0.1/24", []],
  ])("%s: %s", (_name, cidr, expected) => {
    expect(tunnelGateways(["wg0"], [at("eth0", "192.168.1.20/24"), at("wg0", cidr)])).toEqual(expected);
  });

  test("of several tunnels the most wanted one's goes first, once; IPv6 is nobody's", () => {
    const addresses = [at("wg0", "10.2.0.2/32"), at("wg0", "fd00::2/64", 6), at("tun1", "10.9.0.5/24")];
    expect(tunnelGateways(["tun1", "wg0", "tun1"], addresses)).toEqual(["10.9.0.1", "10.2.0.1"]);
  });
});
