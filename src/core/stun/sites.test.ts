import { describe, expect, test } from "bun:test";
import { stunSites } from "./sites.ts";

const P1 = "198.18.0.1"; // reserved, like all of what documentation and labs use
const P2 = "198.18.0.2";
const P3 = "203.0.113.3";

describe("sites", () => {
  const rows: [name: string, addresses: string[], sites: Record<string, string | null>][] = [
    ["one address has no other", ["8.8.8.8"], { "8.8.8.8": null }],
    ["two public ones are each other's", ["8.8.8.8", "9.9.9.9"], { "8.8.8.8": "9.9.9.9", "9.9.9.9": "8.8.8.8" }],
    ["three make a ring", [P1, P2, P3], { [P1]: P2, [P2]: P3, [P3]: P1 }],
    [
      "families are apart",
      ["8.8.8.8", "2606:4700::1", "2606:4700::2"],
      { "8.8.8.8": null, "2606:4700::1": "2606:4700::2", "2606:4700::2": "2606:4700::1" },
    ],
    ["private ones are not reached alike", ["192.168.1.2", "172.17.0.1"], { "192.168.1.2": null, "172.17.0.1": null }],
    ["nor a public and a private one", ["8.8.8.8", "10.0.0.1"], { "8.8.8.8": null, "10.0.0.1": null }],
    ["nor is loopback", ["127.0.0.1", "127.0.0.2"], { "127.0.0.1": null, "127.0.0.2": null }],
    ["what nobody can ask is left out", ["fe80::1", "169.254.1.1", "0.0.0.0", "ff02::1"], {}],
    ["an address that comes twice is one", ["8.8.8.8", "8.8.8.8"], { "8.8.8.8": null }],
  ];
  for (const [name, addresses, sites] of rows) {
    test(name, () => {
      expect(Object.fromEntries(stunSites(addresses).map(({ address, other }) => [address, other]))).toEqual(sites);
    });
  }

  test("there is an end to them", () => {
    expect(stunSites(Array.from({ length: 100 }, (_, n) => `10.0.0.${n}`))).toHaveLength(32);
  });
});
