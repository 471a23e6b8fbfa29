import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ForwardSpec, partOf } from "../../core/forward.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { ControlError } from "../control.ts";
import { agentSettings, consoleAt, EMPTY_CONFIG, loadConfig, readConfig, relaySettings } from "./load.ts";
import { mapToml } from "./locate.ts";
import { configJsonSchema } from "./schema.ts";
import { closest } from "./suggest.ts";
import { parseBandwidth, parseDuration, parseRate } from "./units.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-config-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function mistakes(text: string): Promise<string> {
  try {
    await readConfig(text, "t.toml");
  } catch (error) {
    if (error instanceof ControlError && error.kind === "usage") return error.message;
    throw error;
  }
  throw new Error("the config was accepted");
}

async function only(text: string): Promise<ForwardSpec> {
  const { forwards } = await readConfig(text, "t.toml");
  expect(forwards).toHaveLength(1);
  return forwards[0]!;
}

const idOf = (spec: ForwardSpec) => partOf(spec).id;
const run = (protocol: "tcp" | "udp", first: number, last: number, internalFirst: number) => ({
  protocol,
  first,
  last,
  internalFirst,
});

describe("mistakes are one sentence, with their place", () => {
  test.each([
    ["not TOML", "[relay\n", "t.toml:1:1: This is not TOML: "],
    [
      "not TOML, further down",
      "[relay]\nlisten = '1.2.3.4:5'\npublic = x\n",
      't.toml:3:1: This is not TOML: Strings must be quoted: "x".',
    ],
    ["a key twice", "[agent]\nname = 'a'\nname = 'b'\n", "t.toml:3:1: This is not TOML: Cannot redefine key 'name'."],
    [
      "unknown key",
      "[relay]\nlistn = 'x'",
      't.toml:2:1: "listn" is not a key that is known here. Did you mean listen?',
    ],
    [
      "other spelling",
      "[[expose]]\nports = 80\nproxy_protocol = 'v1'",
      't.toml:3:1: "proxy_protocol" is not a key that is known here. Did you mean proxy-protocol?',
    ],
    [
      "cut short",
      "[[expose]]\nports = 80\nproto = 'udp'",
      't.toml:3:1: "proto" is not a key that is known here. Did you mean protocol?',
    ],
    [
      "unknown table",
      "[expos]\nports = 1",
      't.toml:1:1: "expos" is not a key that is known here. Did you mean expose?',
    ],
    [
      "nothing like it",
      "[agent]\nzzzzzz = 1",
      't.toml:2:1: "zzzzzz" is not a key that is known here; known are name, relay, allow, managed, certificate, key, ca, data, log.',
    ],
    ["one bracket", "[expose]\nports = 80", 't.toml:1:1: "expose" must be a list, not a table.'],
    ["missing key", "[[expose]]\nto = 'db'", 't.toml:1:1: "ports" is missing.'],
    [
      "port set",
      "[[expose]]\nports = '8820, 8815-8810'",
      't.toml:2:1: "ports": Write the lower port first.\n  8820, 8815-8810\n        ^^^^^^^^^\nDid you mean 8810-8815?',
    ],
    [
      "word",
      "[[expose]]\nports = 80\nprotocol = 'tpc'",
      't.toml:3:1: "protocol" must be "tcp", "udp" or "tcp+udp", not "tpc". Did you mean "tcp"?',
    ],
    [
      "type: number",
      "[[expose]]\nports = 80\nconnections = '5'",
      't.toml:3:1: "connections" must be a number, not "5".',
    ],
    [
      "type: fraction",
      "[[expose]]\nports = 80\nconnections = 1.5",
      't.toml:3:1: "connections" must be a whole number, not 1.5.',
    ],
    ["too small", "[[expose]]\nports = 80\nconnections = 0", 't.toml:3:1: "connections" must be above 0, not 0.'],
    ["type: text", "[[expose]]\nports = 80\nidle = 90", 't.toml:3:1: "idle" must be a text in quotes, not 90.'],
    [
      "type: boolean",
      "[[expose]]\nports = 80\nenabled = 'no'",
      't.toml:3:1: "enabled" must be true or false, not "no".',
    ],
    [
      "duration",
      "[[expose]]\nports = 80\nidle = '90'",
      't.toml:3:1: "idle": "90" is not a duration: write 90s, 10m, 2h or 1d.\n  90\n  ^^\nDid you mean 90s?',
    ],
    [
      "bandwidth",
      "[[expose]]\nports = 80\nbandwidth = '10 mb/s'",
      't.toml:3:1: "bandwidth": "10 mb/s" is not a bandwidth',
    ],
    [
      "rate",
      "[[expose]]\nports = 80\nnew-per-source = '5 per second'",
      't.toml:3:1: "new-per-source": "5 per second" is not a rate: write 5/s or 300/m.',
    ],
    ["network", "[[expose]]\nports = 80\nallow = ['10.0.0.0/33']", 't.toml:3:1: "allow": The prefix length'],
    [
      "as with a mapping",
      "[[expose]]\nports = '8000:80'\nas = '90'",
      't.toml:3:1: "as": The ports say outside:inside already',
    ],
    [
      "as of another size",
      "[[expose]]\nports = '80-82'\nas = '90'",
      't.toml:3:1: "as": `as` is 1 port and the ports are 3 ports',
    ],
    ["host", "[[expose]]\nports = 80\nto = 'a_b..c'", 't.toml:3:1: "to": A host name has no empty part between dots.'],
    [
      "PROXY v1 and UDP",
      "[[expose]]\nports = '53/udp'\nproxy-protocol = 'v1'",
      't.toml:3:1: "proxy-protocol" must be "v2" when UDP',
    ],
    [
      "health check of UDP",
      "[[expose]]\nports = '53/udp'\nhealth-check = true",
      't.toml:3:1: "health-check" needs a TCP port',
    ],
    [
      "health check's key",
      "[[expose]]\nports = 80\nhealth-check = { intervall = '2s' }",
      't.toml:3:1: "intervall" is not a key that is known here. Did you mean interval?',
    ],
    [
      "health check's type",
      "[[expose]]\nports = 80\nhealth-check = 5",
      't.toml:3:1: "health-check" must be true, an interval',
    ],
    [
      "via",
      "[[forward]]\nlisten = 80\nto = 'db:80'\nvia = 'office'",
      't.toml:4:1: "via" must be "relay" or "agent:NAME"',
    ],
    [
      "target without a host",
      "[[forward]]\nlisten = 80\nto = '80'",
      't.toml:3:1: "to": Add the host before the port.\n  80\n  ^^\nDid you mean 127.0.0.1:80?',
    ],
    [
      "bare IPv6",
      "[[forward]]\nlisten = '::1:80'\nto = 'db'",
      't.toml:2:1: "listen": Put the IPv6 address in brackets.',
    ],
    [
      "mapping to listen on",
      "[[forward]]\nlisten = '8000:80'\nto = 'db'",
      't.toml:2:1: "listen": Write only the ports to listen on here',
    ],
    ["SOCKS range", "[[socks]]\nlisten = '1080-1081'", 't.toml:2:1: "listen" must be one TCP port'],
    [
      "SOCKS name alone",
      "[[socks]]\nlisten = 1080\nusername = 'ann'",
      't.toml:1:1: "password-file" is missing: a user name and a password go together.',
    ],
    [
      "name twice",
      "[[expose]]\nname = 'a'\nports = 80\n[[expose]]\nname = 'a'\nports = 81",
      't.toml:5:1: "name" is used by an entry of [[expose]] already',
    ],
    ["entry twice", "[[expose]]\nports = 80\n[[expose]]\nports = 80", 't.toml:3:1: "expose" is listed twice'],
    ["exit rule", "[agent]\nallow = ['10.0.0.0/8:99999']", 't.toml:2:1: "allow": '],
  ])("%s", async (_, text, expected) => {
    const message = await mistakes(text);
    expect(message.slice(0, expected.length)).toBe(expected);
  });

  test("each mistake has its line, in the file's order", async () => {
    const message = await mistakes("[[expose]]\nprots = 1\n[relay]\nlistn = 1\n");
    expect(message.split("\n").map((line) => line.split(" ")[0])).toEqual([
      "t.toml:1:1:",
      "t.toml:2:1:",
      "t.toml:4:1:",
    ]);
  });

  test("no file: fine unless a person named it", async () => {
    const path = join(root, "none.toml");
    expect(await loadConfig(path, false)).toBe(EMPTY_CONFIG);
    expect(loadConfig(path, true)).rejects.toThrow(`There is no config file ${path}.`);
  });
});

describe("forwards", () => {
  test("expose, with every key", async () => {
    const spec = await only(`[[expose]]
name = "game"
ports = "8810-8815"
protocol = "tcp+udp"
to = "192.168.1.20"
as = "9000-9005"
allow = ["198.51.100.0/24", "2001:db8::7"]
deny = ["198.51.100.9"]
connections = 100
connections-per-source = 5
new-per-source = "300/m"
bandwidth = "100 Mbit/s"
proxy-protocol = "v2"
idle = "10m"
udp-idle = "90s"
health-check = { interval = "30s" }
group = "den"
enabled = false
lifetime = "permanent"
`);
    expect(spec).toMatchObject({
      kind: "remote",
      to: "192.168.1.20",
      remote: {
        id: "expose/game",
        name: "game",
        group: "den",
        ports: [run("tcp", 9000, 9005, 8810), run("udp", 9000, 9005, 8810)],
        enabled: false,
        lifetimeSec: null,
        options: {
          source: { allow: ["198.51.100.0/24", "2001:db8::7/128"], deny: ["198.51.100.9/32"] },
          limits: {
            connections: 100,
            connectionsPerSource: 5,
            newPerSourcePerSec: 5,
            bandwidthBytesPerSec: 12_500_000,
          },
          proxyProtocol: "v2",
          tcpIdleSec: 600,
          udpIdleSec: 90,
          healthCheck: { intervalSec: 30, timeoutSec: 3, failures: 3 },
        },
      },
    });
  });

  test.each([
    ["a number", "ports = 80", [run("tcp", 80, 80, 80)]],
    ["any port", 'ports = "80, 90-95"\nas = "any"', [run("tcp", 0, 0, 80), run("tcp", 0, 5, 90)]],
    ["paired across runs", 'ports = "80-83"\nas = "90, 95-97"', [run("tcp", 90, 90, 80), run("tcp", 95, 97, 81)]],
    ["mapping", 'ports = "8000:80"', [run("tcp", 8000, 8000, 80)]],
  ])("expose: %s", async (_, keys, ports) => {
    const spec = await only(`[[expose]]\n${keys}`);
    expect(spec.kind === "remote" && spec.remote.ports).toEqual(ports);
  });

  test.each([
    [
      "direct",
      "listen = 8080\nto = 'db:5432'",
      { type: "direct", bind: "127.0.0.1", to: "db", ports: [run("tcp", 8080, 8080, 5432)] },
    ],
    [
      "same ports",
      "listen = '*:8000-8002'\nto = '10.0.0.7'\nprotocol = 'udp'",
      { type: "direct", bind: "*", ports: [run("udp", 8000, 8002, 8000)] },
    ],
    [
      "IPv6",
      "listen = '[::1]:80'\nto = '[2001:db8::7]:81'",
      { bind: "::1", to: "2001:db8::7", ports: [run("tcp", 80, 80, 81)] },
    ],
    ["via the relay", "listen = 80\nto = 'db'\nvia = 'relay'", { type: "local", via: { kind: "relay" } }],
    [
      "via an agent",
      "listen = 80\nto = 'db'\nvia = 'agent:office'",
      { type: "local", via: { kind: "agent", device: "office" } },
    ],
  ])("forward: %s", async (_, keys, expected) => {
    const spec = await only(`[[forward]]\n${keys}`);
    expect(spec).toMatchObject({ kind: "local", local: expected });
  });

  test("socks with a password from a private file", async () => {
    const file = join(root, "password");
    writeFileSync(file, "s3cret\n");
    chmodSync(file, 0o600);
    const text = `[[socks]]\nlisten = 1080\nvia = "relay"\nusername = "ann"\npassword-file = "password"`;
    const { forwards } = await readConfig(text, join(root, "hatchway.toml"));
    expect(forwards[0]).toMatchObject({
      local: { type: "dynamic", to: null, credentials: { username: "ann", password: "s3cret" } },
    });
    chmodSync(file, 0o644);
    expect(readConfig(text, join(root, "hatchway.toml"))).rejects.toThrow(/Others may read/);
  });

  test("ids do not depend on the place in the file, and differ when the content does", async () => {
    const a = "[[expose]]\nports = 80\n";
    const b = "[[expose]]\nports = 81\n";
    const first = await readConfig(a + b, "t.toml");
    const second = await readConfig(b + a, "t.toml");
    expect(first.forwards.map(idOf).sort()).toEqual(second.forwards.map(idOf).sort());
    expect(new Set(first.forwards.map(idOf)).size).toBe(2);
  });
});

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
    ports: [run("tcp", 2000, 2999, 2000), run("udp", 2000, 2999, 2000)],
    allow: [
      { host: "10.0.0.0/8", ports: [run("tcp", 5432, 5432, 5432), run("udp", 5432, 5432, 5432)] },
      { host: "*", ports: [run("tcp", 443, 443, 443), run("udp", 443, 443, 443)] },
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

describe("[acme]", () => {
  const consoleOf = async (toml: string) =>
    relaySettings(await readConfig(toml, "/etc/hatchway/hatchway.toml")).console;

  test("is for the names of the console, at Let's Encrypt, unless it says otherwise", async () => {
    const pages = '[console]\nlisten = "*:443"\nhosts = ["Console.Example.com", "192.0.2.7"]\nhsts = "180d"\n';
    expect(await consoleOf(`${pages}[acme]\naccept-terms = true\n`)).toMatchObject({
      tls: true,
      hstsSec: 15_552_000,
      acme: {
        hosts: ["console.example.com"],
        email: null,
        directory: "https://acme-v02.api.letsencrypt.org/directory",
        ca: null,
        listen: { host: "*", port: 80 },
      },
    });
    const named = '[relay]\npublic = "relay.example.com"\n[console]\nlisten = "*:443"\n[acme]\naccept-terms = true\n';
    expect((await consoleOf(named))?.acme?.hosts).toEqual(["relay.example.com"]);
    const all = `${pages}[acme]\naccept-terms = true\nhosts = ["a.lan", "a.lan"]\nemail = "a@b.example"\ndirectory = "https://ca.lan/d"\nca = "ca.pem"\nlisten = "127.0.0.1:8080"\n`;
    expect((await consoleOf(all))?.acme).toEqual({
      hosts: ["a.lan"],
      email: "a@b.example",
      directory: "https://ca.lan/d",
      ca: "/etc/hatchway/ca.pem",
      listen: { host: "127.0.0.1", port: 8_080 },
    });
    expect(await consoleOf('[console]\nlisten = "*:443"\n')).not.toHaveProperty("acme");
  });

  const good = 'accept-terms = true\nhosts = ["a.example"]';
  test.each([
    ["terms", '[acme]\nhosts = ["a.example"]', '"accept-terms" must be true: read the terms of service'],
    ["terms refused", `[acme]\naccept-terms = false\nhosts = ["a.example"]`, '"accept-terms" must be true'],
    ["an address", '[acme]\naccept-terms = true\nhosts = ["192.0.2.7"]', '"hosts" must be a name'],
    ["an IPv6 address", '[acme]\naccept-terms = true\nhosts = ["2001:db8::7"]', '"hosts" must be a name'],
    ["a name of nobody", '[acme]\naccept-terms = true\nhosts = ["attic"]', '"hosts" must be a public name with a dot'],
    ["a wildcard", '[acme]\naccept-terms = true\nhosts = ["*.example.com"]', '"hosts"'],
    ["no name", "[acme]\naccept-terms = true", '"hosts" is missing: write the names of the console'],
    ["only an address", '[acme]\naccept-terms = true\n[relay]\npublic = "192.0.2.7"', '"hosts" is missing'],
    ["plain HTTP to the CA", `[acme]\n${good}\ndirectory = "http://ca.example/"`, '"directory" must be the https URL'],
    ["no e-mail", `[acme]\n${good}\nemail = "ann"`, '"email" must be an e-mail address'],
    [
      "a certificate as well",
      `[acme]\n${good}\n[console]\nlisten = "*:443"\ncertificate = "c.pem"\nkey = "c.key"`,
      "The console has [console] certificate and [acme]: remove one of the two.",
    ],
    [
      "without TLS",
      `[acme]\n${good}\n[console]\nlisten = "*:443"\ntls = false`,
      '"acme" is for HTTPS, and [console] is plain HTTP: set tls = true there',
    ],
    [
      "on loopback",
      `[acme]\n${good}\n[console]\nlisten = "127.0.0.1:7780"`,
      '"acme" is for HTTPS, and [console] is plain HTTP: on loopback it takes tls = true',
    ],
    ["HSTS on loopback", '[console]\nlisten = "127.0.0.1:7780"\nhsts = "1d"', '"hsts" is for HTTPS'],
    ["another key", `[acme]\n${good}\nmail = "a@b.example"`, "Did you mean email?"],
  ])("%s is told", async (_name, toml, words) => {
    expect(await mistakes(toml)).toContain(words);
  });

  test("a console that the command line puts on loopback is told too", async () => {
    const config = await readConfig(`[acme]\n${good}\n`, "t.toml");
    expect(() => consoleAt(config, { host: "127.0.0.1", port: 7_780 })).toThrow('"acme" is for HTTPS');
  });
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

describe("units", () => {
  test.each([
    ["90s", 90],
    ["10m", 600],
    ["2h", 7_200],
    ["1d", 86_400],
    ["0s", null],
    ["1w", null],
    ["-5s", null],
    ["", null],
  ])("duration %p", (text, expected) => {
    const parsed = parseDuration(text);
    expect(parsed.ok ? parsed.value : null).toBe(expected);
  });

  test.each([
    ["10 MB/s", 10_000_000],
    ["100 Mbit/s", 12_500_000],
    ["1 MiB/s", 1_048_576],
    ["500kB/s", 500_000],
    ["2.5 Gbit/s", 312_500_000],
    ["800 bit/s", 100],
    ["10 Mbps", null],
    ["10 mb/s", null],
    ["0 B/s", null],
    ["10", null],
  ])("bandwidth %p", (text, expected) => {
    const parsed = parseBandwidth(text);
    expect(parsed.ok ? parsed.value : null).toBe(expected);
  });

  test.each([
    ["5/s", 5],
    ["300/m", 5],
    ["0/s", null],
    ["5", null],
  ])("rate %p", (text, expected) => {
    const parsed = parseRate(text);
    expect(parsed.ok ? parsed.value : null).toBe(expected);
  });
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

describe("suggestions", () => {
  test.each([
    ["prots", ["ports", "protocol"], "ports"],
    ["proxyProtocol", ["proxy-protocol"], "proxy-protocol"],
    ["teh", ["the"], "the"],
    ["xyz", ["ports"], null],
    ["", ["ports"], null],
  ])("%p", (word, known, expected) => {
    expect(closest(word, known)).toBe(expected);
  });
});

describe("places in a TOML text", () => {
  const text = `# [not] a table
a.b = 1
"quoted key" = """
[x]
y = 2
"""
[[expose]]
ports = [ # list
  "80", ']',
]
  deep = { inner = 1 }
[[expose]]
  ports = 'it''s'
[expose.sub]
k = 1
`;
  test.each([
    [["a", "b"], 2, 1],
    [["quoted key"], 3, 1],
    [["expose"], 7, 1],
    [["expose", 0], 7, 1],
    [["expose", 0, "ports", 1], 8, 1],
    [["expose", 0, "deep", "inner"], 11, 3],
    [["expose", 1], 12, 1],
    [["expose", 1, "ports"], 13, 3],
    [["expose", 1, "sub", "k"], 15, 1],
    [["expose", 1, "nowhere"], 12, 1],
    [["nowhere"], 1, 1],
  ])("%j", (path, line, column) => {
    expect(mapToml(text).find(path)).toEqual({ line, column });
  });
});
