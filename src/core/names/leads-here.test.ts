import { describe, expect, test } from "bun:test";
import { judgeName, lookedUp, type NameSighting, type NameVerdict } from "./leads-here.ts";

const RELAY = { publicHost: "relay.example", own: ["198.51.100.1", "2001:db8::1", "192.168.1.5"] };
const BY_ADDRESS = { publicHost: "198.51.100.1", own: ["198.51.100.1", "2001:db8::1"] };
const IN_A_LAN = { publicHost: "192.168.1.5", own: ["192.168.1.5"] };

type Case = readonly [
  string,
  readonly string[],
  Omit<NameSighting, "host" | "addresses">,
  Partial<NameVerdict>,
  string,
];
const CASES: readonly Case[] = [
  [
    "all of it is here",
    ["198.51.100.1", "2001:db8::1"],
    RELAY,
    { leads: "here", remedy: null, records: [] },
    "leads to this relay",
  ],
  ["one is here", ["198.51.100.1"], RELAY, { leads: "here" }, "leads to this relay"],
  ["one is not", ["198.51.100.1", "2001:db8::9"], RELAY, { leads: "partly", records: [] }, "2001:db8::9 as well"],
  [
    "none is here",
    ["203.0.113.7"],
    RELAY,
    { leads: "elsewhere", records: [{ name: "app.example.org", type: "CNAME", value: "relay.example" }] },
    "not to this relay (relay.example)",
  ],
  [
    "there is none",
    [],
    BY_ADDRESS,
    {
      leads: "nowhere",
      remedy: "Where its DNS is kept, make a record A 198.51.100.1.",
      records: [{ name: "app.example.org", type: "A", value: "198.51.100.1" }],
    },
    "has no address",
  ],
  [
    "there is none, and the relay goes by an address of its LAN",
    [],
    { publicHost: "192.168.1.5", own: ["192.168.1.5", "2001:db8::1", "2001:db8::2"] },
    {
      leads: "nowhere",
      remedy: "Where its DNS is kept, make a record AAAA 2001:db8::1 and a record AAAA 2001:db8::2.",
    },
    "has no address",
  ],
  [
    "the relay knows no address of its own",
    ["203.0.113.7"],
    IN_A_LAN,
    { leads: "unknown", records: [] },
    "not known here",
  ],
  ["the relay and the name are in the same LAN", ["192.168.1.5"], IN_A_LAN, { leads: "here" }, "this relay"],
  [
    "the name is of another machine in the LAN",
    ["192.168.1.9"],
    IN_A_LAN,
    { leads: "elsewhere", records: [{ name: "app.example.org", type: "A", value: "192.168.1.5" }] },
    "192.168.1.9",
  ],
  ["the hosts file says loopback", ["127.0.1.1"], RELAY, { leads: "elsewhere" }, "127.0.1.1"],
];

describe("a name:", () => {
  for (const [name, addresses, relay, verdict, words] of CASES) {
    test(name, () => {
      const judged = judgeName({ host: "app.example.org", addresses, ...relay });
      expect(judged).toMatchObject(verdict);
      expect(judged.sentence).toContain(words);
    });
  }
});

test("of many addresses the first are told", () => {
  const addresses = [1, 2, 3, 4, 5].map((host) => `203.0.113.${host}`);
  expect(judgeName({ host: "a.example", addresses, ...RELAY }).sentence).toContain("203.0.113.3 and 2 more");
});

test("a wildcard is looked up by a name that it covers", () => {
  expect(lookedUp("*.apps.example.org")).toBe("hatchway-check.apps.example.org");
  expect(lookedUp("app.example.org")).toBe("app.example.org");
});
