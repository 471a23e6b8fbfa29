import { describe, expect, test } from "bun:test";
import { ExitPolicy } from "./exit-policy.ts";
import { type ExitRule, PUBLIC_ONLY, parseExitRule } from "./exit-rule.ts";

const OWN = ["192.168.1.9", "9.9.9.9", "2a00::9"];

function rules(...texts: string[]): ExitRule[] {
  return texts.map((text) => {
    const rule = parseExitRule(text);
    if (!rule.ok) throw new Error(`${text}: ${rule.error.message}`);
    return rule.value;
  });
}

const allowing = (...texts: string[]): ExitPolicy => new ExitPolicy({ rules: rules(...texts), ownAddresses: OWN });
const exposing = (...texts: string[]): ExitPolicy =>
  new ExitPolicy({ rules: [], exposed: rules(...texts), ownAddresses: OWN });

/** What every machine keeps to itself unless a rule names it. */
const SPECIAL: readonly string[] = [
  "127.0.0.1",
  "127.8.9.10",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
  "0.0.0.0",
  "::",
  "169.254.1.1",
  "fe80::1",
  "fe80::1%eth0",
  "169.254.169.254",
  "::ffff:169.254.169.254",
  "fd00:ec2::254",
  "100.100.100.200",
  "224.0.0.1",
  "ff02::1",
  "255.255.255.255",
  "9.9.9.9",
  "::ffff:9.9.9.9",
  "2a00::9",
];
const PRIVATE: readonly string[] = [
  "10.0.0.5",
  "172.16.0.1",
  "192.168.1.7",
  "100.64.0.1",
  "fd12::1",
  "::ffff:10.0.0.5",
];
const PUBLIC: readonly string[] = ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"];

describe("an address, by rule", () => {
  const cases: [string, ExitPolicy, readonly string[], readonly string[]][] = [
    ["no rule", allowing(), [], [...PUBLIC, ...PRIVATE, ...SPECIAL]],
    ["a relay's default", new ExitPolicy({ rules: PUBLIC_ONLY, ownAddresses: OWN }), PUBLIC, [...PRIVATE, ...SPECIAL]],
    ["any", allowing("any"), PUBLIC, [...PRIVATE, ...SPECIAL]],
    ["private", allowing("private"), PRIVATE, [...PUBLIC, ...SPECIAL, "192.168.1.9"]],
    ["every address, as networks", allowing("0.0.0.0/0", "::/0"), PUBLIC, [...PRIVATE, ...SPECIAL]],
    ["a private network", allowing("10.0.0.0/8"), ["10.0.0.5"], ["192.168.1.7", "1.1.1.1"]],
    ["a network that is only partly private", allowing("10.0.0.0/7"), ["11.0.0.1"], ["10.0.0.5"]],
    ["a network that holds an own address", allowing("192.168.1.0/24"), ["192.168.1.7"], ["192.168.1.9"]],
    ["the own address itself", allowing("192.168.1.9"), ["192.168.1.9"], ["9.9.9.9"]],
    ["loopback", allowing("127.0.0.0/8"), ["127.0.0.1", "::ffff:127.0.0.1"], ["::1", "10.0.0.5"]],
    ["one loopback address", allowing("[::1]:*"), ["::1"], ["127.0.0.1"]],
    ["link-local", allowing("169.254.0.0/16"), ["169.254.1.1"], ["169.254.169.254"]],
    ["link-local with a zone", allowing("fe80::/10"), ["fe80::1%eth0"], []],
    ["a metadata address", allowing("169.254.169.254"), ["169.254.169.254"], ["fd00:ec2::254", "169.254.1.1"]],
    ["a private network around metadata", allowing("fd00::/8"), ["fd12::1"], ["fd00:ec2::254"]],
    ["shared space around metadata", allowing("100.64.0.0/10"), ["100.64.0.1"], ["100.100.100.200"]],
    ["the NAT64 prefix", allowing("64:ff9b::/96"), ["64:ff9b::101:101"], ["64:ff9b::7f00:1", "64:ff9b::a00:5"]],
  ];
  for (const [name, policy, allowed, refused] of cases) {
    test(name, () => {
      const verdict = (address: string): string =>
        `${address} ${policy.refusesAddress(address, address, 80, "tcp") === null ? "allowed" : "refused"}`;
      expect(allowed.map(verdict)).toEqual(allowed.map((address) => `${address} allowed`));
      expect(refused.map(verdict)).toEqual(refused.map((address) => `${address} refused`));
      // An IP literal is decided before any look-up, and alike.
      for (const address of [...allowed, ...refused]) {
        expect(policy.refusesName(address, 80, "tcp")).toEqual(policy.refusesAddress(address, address, 80, "tcp"));
      }
    });
  }
});

describe("a name, before it is resolved", () => {
  const cases: [string, ExitPolicy, string, boolean][] = [
    ["itself", allowing("db.example:80"), "db.example", true],
    ["upper case and a final dot", allowing("db.example:80"), "DB.Example.", true],
    ["another", allowing("db.example:80"), "db2.example", false],
    ["below a wildcard", allowing("*.corp.example:80"), "a.corp.example", true],
    ["deep below a wildcard", allowing("*.corp.example:80"), "a.b.corp.example", true],
    ["the wildcard's own name", allowing("*.corp.example:80"), "corp.example", false],
    ["a name that only ends alike", allowing("*.corp.example:80"), "evilcorp.example", false],
    ["the suffix alone", allowing("*.corp.example:80"), ".corp.example", false],
    ["it could resolve into the network", allowing("10.0.0.0/8:80"), "db.example", true],
    ["any", allowing("any"), "db.example", true],
    ["exposed", exposing("db.example:80"), "db.example", true],
    ["not exposed", exposing("db.example:80"), "web.example", false],
    ["nothing allowed", allowing(), "db.example", false],
    ["an odd spelling of an address is a name", allowing("db.example"), "0x7f.1", false],
  ];
  for (const [name, policy, host, allowed] of cases) {
    test(name, () => expect(policy.refusesName(host, 80, "tcp") === null).toBe(allowed));
  }
});

describe("a name and what it resolved to", () => {
  const cases: [string, ExitPolicy, string, string, boolean][] = [
    ["public", allowing("db.example:80"), "db.example", "1.1.1.1", true],
    ["private", allowing("db.example:80"), "db.example", "10.0.0.5", true],
    ["below a wildcard, private", allowing("*.example:80"), "db.example", "10.0.0.5", true],
    ["rebound to loopback", allowing("db.example:80"), "db.example", "127.0.0.1", false],
    ["rebound to metadata", allowing("*.example:80"), "db.example", "169.254.169.254", false],
    ["rebound to this machine", allowing("db.example:80"), "db.example", "9.9.9.9", false],
    ["another name", allowing("db.example:80"), "web.example", "1.1.1.1", false],
    ["any, rebound to a private address", allowing("any"), "db.example", "10.0.0.5", false],
    ["localhost named", allowing("localhost:80"), "localhost", "::1", true],
    ["localhost named, but not loopback", allowing("localhost:80"), "localhost", "10.0.0.5", false],
    ["below localhost", allowing("*.localhost:80"), "app.localhost", "127.0.0.1", true],
    ["an address rule, asked by name", allowing("127.0.0.1:80"), "localhost", "127.0.0.1", true],
    ["exposed, this machine by its name", exposing("nas:80"), "nas", "127.0.1.1", true],
    ["exposed, own address", exposing("nas:80"), "NAS.", "192.168.1.9", true],
    ["exposed, metadata", exposing("nas:80"), "nas", "169.254.169.254", false],
    ["exposed, another name there", exposing("nas:80"), "db", "127.0.1.1", false],
    ["exposed address", exposing("127.0.0.1:80"), "127.0.0.1", "127.0.0.1", true],
    ["exposed address, another port's neighbour", exposing("127.0.0.1:80"), "127.0.0.1", "127.0.0.2", false],
    ["not an address", allowing("any"), "db.example", "nonsense", false],
  ];
  for (const [name, policy, host, address, allowed] of cases) {
    test(name, () => expect(policy.refusesAddress(host, address, 80, "tcp") === null).toBe(allowed));
  }
});

describe("ports", () => {
  const policy = allowing("10.0.0.5:80-90", "10.0.0.5:53/udp", "db.example:443");
  const cases: [string, number, "tcp" | "udp", boolean][] = [
    ["10.0.0.5", 79, "tcp", false],
    ["10.0.0.5", 80, "tcp", true],
    ["10.0.0.5", 90, "udp", true],
    ["10.0.0.5", 91, "tcp", false],
    ["10.0.0.5", 53, "udp", true],
    ["10.0.0.5", 53, "tcp", false],
    ["db.example", 443, "tcp", true],
    ["db.example", 444, "tcp", false],
  ];
  for (const [host, port, protocol, allowed] of cases) {
    test(`${host}:${port}/${protocol}`, () => {
      expect(policy.refusesName(host, port, protocol) === null).toBe(allowed);
    });
  }
  test("the rule that has the port must be the one that has the host", () => {
    expect(policy.refusesAddress("10.0.0.5", "10.0.0.5", 443, "tcp")).not.toBeNull();
  });
});

describe("a refusal says what to add", () => {
  const policy = allowing("any:443");
  const cases: [string, string | null, string][] = [
    [
      "db.example",
      null,
      'No rule lets visits out to "db.example:80"; to allow it, add "db.example:80" to allow in hatchway.toml.',
    ],
    [
      "fd12::1",
      null,
      'No rule lets visits out to [fd12::1]:80, which is a private address; to allow it, add "[fd12::1]:80" to allow in hatchway.toml.',
    ],
    [
      "db.example",
      "9.9.9.9",
      'No rule lets visits out to 9.9.9.9:80 for "db.example", which is an address of this machine; to allow it, add "9.9.9.9:80" to allow in hatchway.toml.',
    ],
    ["a\nb", null, 'No rule lets visits out to "a\\nb:80"; to allow it, add "a\\nb:80" to allow in hatchway.toml.'],
  ];
  for (const [host, address, message] of cases) {
    test(JSON.stringify([host, address]), () => {
      const refusal =
        address === null ? policy.refusesName(host, 80, "tcp") : policy.refusesAddress(host, address, 80, "tcp");
      expect(refusal).toEqual({ reason: "exitNotAllowed", message });
    });
  }
});
