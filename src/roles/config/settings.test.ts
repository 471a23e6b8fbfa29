import { describe, expect, test } from "bun:test";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { agentSettings, consoleAt, EMPTY_CONFIG, readConfig, relaySettings } from "./load.ts";
import { mistakes } from "./mistakes.fixture.ts";
import { configJsonSchema } from "./schema.ts";

/** Of ports that are the same inside, for both protocols. */
const both = (first: number, last = first) =>
  (["tcp", "udp"] as const).map((protocol) => ({ protocol, first, last, internalFirst: first }));

test("settings have defaults, and [relay] and [agent] replace them", async () => {
  expect(relaySettings(EMPTY_CONFIG)).toMatchObject({
    listen: { host: "0.0.0.0", port: 7744 },
    publicHost: null,
    allow: [{ host: "*", ports: null }],
    stun: true,
  });
  expect(agentSettings(EMPTY_CONFIG)).toEqual({
    name: null,
    relay: null,
    allow: [],
    managed: null,
    certificate: null,
    ca: null,
    forwards: [],
  });
  const config = await readConfig(
    `[relay]\nlisten = "[::]:7000"\npublic = "r.example"\nports = "2000-2999"\nallow = ["10.0.0.0/8:5432", "*:443"]\nstun = false\nupgrade-drain = "10m"\n[agent]\nname = "den"\nrelay = "r.example"\nallow = ["192.168.1.0/24"]\n`,
    "t.toml",
  );
  expect(relaySettings(config)).toEqual({
    listen: { host: "::", port: 7000 },
    publicHost: "r.example",
    ports: both(2000, 2999),
    allow: [
      { host: "10.0.0.0/8", ports: both(5432) },
      { host: "*", ports: both(443) },
    ],
    certificate: null,
    clientCa: null,
    stun: false,
    proxyProtocolFrom: [],
    check: { listen: null, hosts: [], private: false, trustedProxies: [] },
    console: null,
    metrics: null,
    upgradeDrainSec: 600,
  });
  expect(agentSettings(config)).toMatchObject({ name: "den", relay: { host: "r.example", port: 7744 } });
});

test("the check service's settings, and what is not one", async () => {
  const toml = `[check]\nlisten = ":8089"\nhosts = ["Check.Example"]\nprivate = true\ntrusted-proxies = ["10.0.0.7"]\n`;
  expect(relaySettings(await readConfig(toml, "t.toml")).check).toEqual({
    listen: { host: "*", port: 8089 },
    hosts: ["check.example"],
    private: true,
    trustedProxies: ["10.0.0.7/32" as Cidr],
  });
  expect(await mistakes(`[check]\nlisten = "0.0.0.0"\nports = 80\n`)).toContain("ports");
});

test("a database of countries is beside the config file, for every console", async () => {
  const toml = '[console]\nlisten = "127.0.0.1:7780"\ncountry-database = "GeoLite2-Country.mmdb"\n';
  const config = await readConfig(toml, "/etc/hatchway/hatchway.toml");
  expect(relaySettings(config).console?.countryDatabase).toBe("/etc/hatchway/GeoLite2-Country.mmdb");
  expect(consoleAt(config, { host: "127.0.0.1", port: 1 }).countryDatabase).toBe("/etc/hatchway/GeoLite2-Country.mmdb");
  expect(relaySettings(await readConfig('[console]\nlisten = "127.0.0.1:1"\n', "t.toml")).console).not.toHaveProperty(
    "countryDatabase",
  );
});

test("certificates are found beside the config file, and go with their key", async () => {
  const text = `[relay]\ncertificate = "relay.pem"\nkey = "/keys/relay.key"\nclient-ca = "ca.pem"\n[agent]\nca = "ca.pem"\n`;
  const config = await readConfig(text, "/etc/hatchway/hatchway.toml");
  expect(relaySettings(config)).toMatchObject({
    certificate: { certificate: "/etc/hatchway/relay.pem", key: "/keys/relay.key" },
    clientCa: "/etc/hatchway/ca.pem",
  });
  expect(agentSettings(config)).toMatchObject({ certificate: null, ca: "/etc/hatchway/ca.pem" });
  const lacking = await readConfig(`[agent]\ncertificate = "agent.pem"\n`, "t.toml");
  expect(() => agentSettings(lacking)).toThrow("[agent] has no key: certificate and key go together.");
});

test("the JSON Schema knows the tables and forbids other keys", () => {
  const schema = configJsonSchema() as { additionalProperties: boolean; properties: Record<string, unknown> };
  expect(Object.keys(schema.properties)).toEqual([
    "relay",
    "agent",
    "check",
    "console",
    "acme",
    "metrics",
    "names",
    "ssh",
    "expose",
    "forward",
    "socks",
    "map",
    "gateway",
    "upnp",
    "vpn",
    "mapping",
    "trigger",
    "hook",
    "gluetun",
    "upgrade",
  ]);
  expect(schema.additionalProperties).toBe(false);
});

describe.each(["relay", "console"])("[%s] proxy-protocol-from", (table) => {
  const settings = async (value: string) => {
    const listen = table === "console" ? 'listen = "*:7780"\n' : "";
    const config = await readConfig(`[${table}]\nproxy-protocol-from = ${value}\n${listen}`, "t.toml");
    const { proxyProtocolFrom, console } = relaySettings(config);
    return table === "console" ? console?.proxyProtocolFrom : proxyProtocolFrom;
  };

  test("addresses and networks", async () => {
    const cidr = (text: string): Cidr => {
      const parsed = parseCidr(text);
      if (!parsed.ok) throw new Error(parsed.error.message);
      return parsed.value;
    };
    expect(await settings('["10.0.0.5", "2001:db8::/64"]')).toEqual([cidr("10.0.0.5/32"), cidr("2001:db8::/64")]);
    expect(await settings("[]")).toEqual([]);
  });

  test.each([
    ["everybody", '["0.0.0.0/0"]', "must be load balancers of yours, not every address"],
    ["everybody, IPv6", '["::/0"]', "must be load balancers of yours, not every address"],
    ["a name", '["balancer"]', "balancer"],
  ])("not %s", async (_, value, says) => {
    await expect(settings(value)).rejects.toThrow(says);
    await expect(settings(value)).rejects.toThrow("t.toml:2:");
  });
});
