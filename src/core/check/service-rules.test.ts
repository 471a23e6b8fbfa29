import { describe, expect, test } from "bun:test";
import { NONCE_BYTES, UDP_PROBES } from "./probes.ts";
import { allowedTries, probedAddress, wantedAllowanceBytes } from "./service-rules.ts";

const RELAY = new Set(["198.18.0.1", "8.8.8.8", "2a00:1::1"]);
const OWN = "45.0.113.20";

describe("which address may be probed", () => {
  const table: readonly (readonly [
    name: string,
    address: string,
    named: readonly string[],
    isPrivateAllowed: boolean,
    outcome: string | RegExp,
  ])[] = [
    ["its own, unnamed", OWN, [], false, OWN],
    ["its own, named", OWN, [OWN], false, OWN],
    ["its own, among others of the same name", OWN, ["192.168.1.2", OWN], false, OWN],
    ["its own, as a dual-stack socket writes it", `::ffff:${OWN}`, [], false, OWN],
    ["its own, named as IPv6", OWN, [`::ffff:${OWN}`], false, OWN],
    ["its own IPv6 address", "2a00:2::7", ["2a00:2:0::7"], false, "2a00:2::7"],
    ["a neighbour's IPv6 address in the same network", "2a00:2::7", ["2a00:2::8"], false, /only the address that asks/],
    ["another's", OWN, ["45.0.113.21"], false, /only the address that asks, 45\.0\.113\.20, and not 45\.0\.113\.21/],
    ["the relay's loopback", OWN, ["127.0.0.1"], true, /only the address that asks/],
    ["the cloud's metadata", OWN, ["169.254.169.254"], true, /only the address that asks/],
    ["a private network's", OWN, ["10.0.0.1"], true, /only the address that asks/],
    ["a text that is none", OWN, ["localhost"], true, /only the address that asks/],
    ["a loopback asker's", "127.0.0.1", [], true, /loopback address, and checks none/],
    ["a loopback asker's, IPv6", "::1", [], true, /loopback/],
    ["a loopback asker's, mapped", "::ffff:127.0.0.1", [], true, /loopback/],
    ["a link-local asker's", "169.254.3.4", [], true, /link-local/],
    ["a link-local asker's with its zone", "fe80::1%eth0", [], true, /not one that others can reach/],
    ["a metadata asker's", "169.254.169.254", [], true, /metadata/],
    ["a metadata asker's, IPv6", "fd00:ec2::254", [], true, /metadata/],
    ["an unspecified asker's", "0.0.0.0", [], true, /unspecified/],
    ["a multicast asker's", "224.0.0.1", [], true, /multicast/],
    ["a private asker's", "192.168.1.20", [], false, /not a public address/],
    ["a private asker's, allowed", "192.168.1.20", [], true, "192.168.1.20"],
    ["a shared address (RFC 6598)", "100.64.0.9", [], false, /not a public address/],
    ["a unique local one, allowed", "fd12::5", [], true, "fd12::5"],
    ["a documentation address", "203.0.113.9", [], false, /not a public address/],
    ["the relay's own", "8.8.8.8", [], false, /on this machine too/],
    ["the relay's own in a LAN", "198.18.0.1", [], true, /on this machine too/],
    ["nothing", "", [], true, /not one that others can reach/],
  ];
  for (const [name, address, named, isPrivateAllowed, outcome] of table) {
    test(name, () => {
      const probed = probedAddress({ address, named, relayAddresses: RELAY }, { private: isPrivateAllowed });
      if (typeof outcome === "string") expect(probed).toEqual({ ok: true, value: outcome });
      else expect(probed.ok ? probed.value : probed.error.message).toMatch(outcome);
    });
  }
});

describe("how often a probe may be sent", () => {
  const table: readonly (readonly [
    protocol: "tcp" | "udp",
    address: string,
    payload: number,
    allowance: number,
    tries: number,
  ])[] = [
    ["tcp", OWN, 0, 239, 0],
    ["tcp", OWN, 0, 240, 1],
    ["tcp", OWN, 0, 100_000, 1],
    ["tcp", "2a00:2::7", 0, 319, 0],
    ["tcp", "2a00:2::7", 0, 320, 1],
    ["udp", OWN, 17, 44, 0],
    ["udp", OWN, 17, 45, 1],
    ["udp", OWN, 17, 134, 2],
    ["udp", OWN, 17, 135, 3],
    ["udp", OWN, 17, 10_000, 3],
    ["udp", OWN, 1_200, 1_227, 0],
    ["udp", "2a00:2::7", 1_200, 3_744, 3],
  ];
  for (const [protocol, address, payload, allowance, tries] of table) {
    test(`${protocol} of ${payload} bytes to ${address}, for ${allowance}: ${tries}`, () => {
      expect(allowedTries(protocol, address, payload, allowance)).toBe(tries);
    });
  }

  test("what an agent sends along is enough for every payload, and fits the page's padding", () => {
    const sizes = UDP_PROBES.map((probe) => probe.payload(new Uint8Array(NONCE_BYTES)).length);
    for (const size of sizes) {
      expect(allowedTries("udp", "2a00:2::7", size, wantedAllowanceBytes("udp", size))).toBe(3);
      expect(wantedAllowanceBytes("udp", size)).toBeLessThanOrEqual(4_096);
    }
    expect(allowedTries("tcp", "2a00:2::7", 0, wantedAllowanceBytes("tcp", 0))).toBe(1);
  });
});
