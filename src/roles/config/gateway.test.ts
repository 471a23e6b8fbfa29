import { describe, expect, test } from "bun:test";
import { formatPermissionRule } from "../../core/mapping/permission-rule.ts";
import { gatewaySettings } from "./gateway.ts";
import { readConfig } from "./load.ts";
import { mistakes } from "./mistakes.fixture.ts";

async function settingsOf(text: string) {
  return gatewaySettings((await readConfig(text, "t.toml")).file, (path) => path);
}

test("an empty file has the safe defaults", async () => {
  const settings = await settingsOf("");
  expect(settings).toMatchObject({
    wan: [],
    lan: [],
    masquerade: true,
    dropUnforwarded: true,
    servers: { igd: true, natPmp: true, pcp: true, secureMode: true, maxPerClient: 64 },
    mappings: [],
    triggers: [],
    user: null,
  });
  expect(settings.servers.rules.map(formatPermissionRule)).toEqual(["allow 1024-65535 * 1024-65535"]);
});

test("mappings and triggers are read with their ports settled", async () => {
  const settings = await settingsOf(`
[gateway]
wan = "eth0"
lan = ["br0", "wlan0"]
snat-ports = "52000-60000"
[[mapping]]
ports = "8840, 8810-8815, 8000:80"
to = "192.168.1.20"
protocol = "tcp+udp"
allow = ["203.0.113.0/24"]
new-per-source = "60/m"
[[mapping]]
name = "phone"
ports = 51413
to = "phone"
lifetime = "1h"
[[trigger]]
name = "irc"
out = 6667
in = "113, 5000-5010/udp"
timeout = "2m"
first-wins = true
`);
  expect(settings).toMatchObject({ wan: ["eth0"], lan: ["br0", "wlan0"], snatPorts: { first: 52_000, last: 60_000 } });
  const [list, phone] = settings.mappings;
  expect(list?.ports).toHaveLength(6);
  expect(list).toMatchObject({
    to: "192.168.1.20",
    lifetimeSec: null,
    allow: [{ network: "203.0.113.0/24", port: null }],
    limits: { newPerSourcePerSec: 1 },
  });
  expect(phone).toMatchObject({ id: "mapping/phone", name: "phone", to: "phone", lifetimeSec: 3_600 });
  expect(settings.triggers).toEqual([
    {
      name: "irc",
      out: { tcp: [{ first: 6667, last: 6667 }], udp: [] },
      in: { tcp: [{ first: 113, last: 113 }], udp: [{ first: 5000, last: 5010 }] },
      timeoutSec: 120,
      secondHost: "refused",
    },
  ]);
});

describe("mistakes are one sentence, with their place", () => {
  test.each([
    ["an interface", "[gateway]\nwan = 'eth 0'", 't.toml:2:1: "wan" must be the name of a network interface'],
    ["a small range", "[gateway]\nsnat-ports = '50000-50010'", "Write one range of at least 1000 ports"],
    ["an IPv6 public address", "[gateway]\npublic = '2001:db8::1'", "Write an IPv4 address."],
    ["a rule", "[upnp]\nrules = ['permit all']", 't.toml:2:1: "rules": Begin the rule with allow or deny'],
    ["a trigger that translates", "[[trigger]]\nname='a'\nout='80:81'\nin=1", '"out" must be plain ports'],
    ["the same mapping twice", "[[mapping]]\nports=80\nto='a'\n[[mapping]]\nports=80\nto='a'", 'lists "80/tcp" twice'],
    ["translated IPv6", "[[mapping]]\nports='80:81'\nto='2001:db8::1'", "an IPv6 address is not translated"],
    ["an MTU too small for IPv6", "[vpn]\nmtu = 100", '"mtu" must be at least 1280, not 100.'],
    [
      "a trigger twice",
      '[[trigger]]\nname="a"\nout=1\nin=2\n[[trigger]]\nname="a"\nout=3\nin=4',
      '"trigger" lists "a" twice: give each its own name, or remove one.',
    ],
    [
      "a port of outgoing traffic",
      "[[mapping]]\nports=53000\nto='a'",
      't.toml:2:1: "ports" must not be among 52000-64000',
    ],
    ["a network too large", "[vpn]\nnetwork='10.0.0.0/8'", 't.toml:2:1: "network": The VPN'],
    ["no name", "[[trigger]]\nout=1\nin=2", '"name" is missing'],
  ])("%s", async (_, text, sentence) => {
    expect(await mistakes(text)).toContain(sentence);
  });
});
