import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Finding, readFirewalls, type Surroundings } from "../../src/dataplanes/nat/firewalls.ts";
import { PINHOLE_MARK } from "../../src/dataplanes/nat/names.ts";
import type { Run } from "../../src/os/command.ts";
import type { Cidr } from "../../src/wire/address.ts";
import { ok } from "../../src/wire/result.ts";
import type { Child } from "./child.ts";
import { startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";
import { eventually } from "./ready.ts";

/** The NAT box runs another firewall as well; what it says to do is done, word by word. */
const OURS = `
table inet hatchway {
  chain prerouting { type nat hook prerouting priority dstnat; iifname wan tcp dport 7000 dnat ip to 192.168.77.2
  }
  chain postrouting { type nat hook postrouting priority srcnat; oifname wan masquerade
  }
  chain forward {
    type filter hook forward priority filter - 1; policy accept;
    iifname wan ip6 daddr fd00:77::2 tcp dport 7000 ct mark set ct mark or ${PINHOLE_MARK}
    ct status dnat accept
  }
}`;
const SURROUNDINGS: Surroundings = {
  wan: ["wan"],
  inside: [
    { name: "lan1", networks: ["192.168.77.0/24", "fd00:77::/64"] as Cidr[] },
    { name: "lan2", networks: ["192.168.78.0/24", "fd00:78::/64"] as Cidr[] },
  ],
  servers: { tcp: [5000], udp: [5351] },
  vpnPort: null,
  ipv6: true,
  pinholeMark: PINHOLE_MARK,
};
const fixture = (name: string): string => readFileSync(join(import.meta.dir, "../fixtures/firewalls", name), "utf8");

let lab: Lab;
let services: readonly Child[];
const inNat = (argv: readonly string[], input = ""): string =>
  tool(["ip", "netns", "exec", lab.nat.namespace, ...argv], input);
const run: Run = async (argv) => ok(await lab.exec(lab.nat, argv));

beforeAll(async () => {
  lab = createLab({ natRules: false });
  tool(["ip", "-n", lab.visitor.namespace, "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
  services = await Promise.all([
    startService(lab, lab.agent, "port:tcp:7000"),
    startService(lab, lab.relay, "port:tcp:7000"),
    startService(lab, lab.nat, "port:tcp:5000"),
  ]);
  clear();
  // A neighbour's first answer over IPv6 may take longer than a connection may, here.
  await eventually("IPv6", async () => (await reaches(lab.visitor, lab.agent.v6, 7000)) || undefined);
});
afterAll(async () => {
  await Promise.all((services ?? []).map((child) => child.kill()));
  await lab?.[Symbol.asyncDispose]();
});

async function reaches(from: Host, host: string, port: number): Promise<boolean> {
  const to = `${host.includes(":") ? `TCP6:[${host}]` : `TCP4:${host}`}:${port},connect-timeout=1`;
  return (await lab.exec(from, ["socat", "-u", "-T10", to, "-"])).stdout === String(port);
}

/** What goes through now, by the words of the findings. */
async function passing(): Promise<string[]> {
  const tries: readonly [string, Promise<boolean>][] = [
    ["forwards", reaches(lab.visitor, lab.nat.v4, 7000)],
    ["pinholes", reaches(lab.visitor, lab.agent.v6, 7000)],
    ["clients", reaches(lab.agent, lab.relay.v4, 7000)],
    ["servers", reaches(lab.agent, "192.168.77.1", 5000)],
  ];
  const results = await Promise.all(tries.map(async ([name, passed]) => ((await passed) ? [name] : [])));
  return results.flat();
}

async function findings(): Promise<readonly Finding[]> {
  const result = await readFirewalls(run, SURROUNDINGS);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

const blocked = (found: readonly Finding[]): string[] => [...new Set(found.flatMap(({ blocks }) => blocks))].sort();

/** `iptables -S` back into what iptables-restore reads. */
function restore(program: string, rules: string): void {
  const lines = rules
    .split("\n")
    .map((line) => line.replace(/^-P (\S+) (\S+)$/, ":$1 $2 [0:0]").replace(/^-N (\S+)$/, ":$1 - [0:0]"));
  inNat([program], `*filter\n${lines.join("\n")}\nCOMMIT\n`);
}

const ALL = ["forwards", "pinholes", "clients", "servers"];

describe("a remedy, done word by word, lets through what was stopped", () => {
  const cases: readonly [string, () => void, string, readonly string[]][] = [
    [
      "nft with policy drop",
      () => inNat(["nft", "-f", "-"], fixture("nftables-workstation.nft")),
      "nftables",
      ["forwards", "pinholes", "servers"],
    ],
    [
      "nft with a last rule",
      () => inNat(["nft", "-f", "-"], fixture("nftables-subnets.nft")),
      "nftables",
      ["forwards"],
    ],
    [
      "nft before conntrack",
      () => inNat(["nft", "-f", "-"], fixture("nftables-raw.nft")),
      "nftables",
      ["forwards", "pinholes", "clients"],
    ],
    [
      "OpenWrt's",
      () => inNat(["nft", "-f", "-"], fixture("fw4.nft").replaceAll('"br-lan"', '"lan1"')),
      "fw4",
      ["forwards", "pinholes"],
    ],
    ["Docker's", () => restore("iptables-nft-restore", fixture("docker.v4")), "docker", ["clients", "forwards"]],
    [
      "Docker's in legacy tables",
      () => restore("iptables-legacy-restore", fixture("docker-20.v4")),
      "docker",
      ["clients", "forwards"],
    ],
    [
      "iptables by hand",
      () => restore("iptables-nft-restore", fixture("iptables.v4")),
      "iptables",
      ["forwards", "servers"],
    ],
  ];
  test.each(cases)(
    "%s",
    async (_, apply, manager, stopped) => {
      clear();
      expect(await passing()).toEqual(ALL);
      expect(await findings()).toEqual([]);
      apply();
      const found = await findings();
      expect([...new Set(found.map((finding) => finding.manager))]).toEqual([manager as Finding["manager"]]);
      expect(await passing()).toEqual(ALL.filter((kind) => !stopped.includes(kind)));
      expect(blocked(found)).toEqual(expect.arrayContaining([...stopped]));
      for (const argv of found.flatMap(({ remedy }) => remedy.now)) inNat(argv);
      expect(await passing()).toEqual(ALL);
      expect(await findings()).toEqual([]);
    },
    20_000,
  );

  test("ufw's: what its own program does not have to do", async () => {
    clear();
    restore("iptables-nft-restore", fixture("ufw.v4"));
    restore("ip6tables-nft-restore", fixture("ufw.v6"));
    const found = await findings();
    expect(blocked(found)).toEqual(["clients", "forwards", "pinholes", "servers"]);
    expect(await passing()).toEqual([]);
    const commands = found.flatMap(({ remedy }) => remedy.now);
    for (const argv of commands.filter(([program]) => program !== "ufw")) inNat(argv);
    expect(await passing()).toEqual(["forwards", "pinholes"]);
    expect(blocked(await findings())).toEqual(["clients", "servers"]);
    expect(new Set(commands.map(([program]) => program))).toEqual(new Set(["iptables-nft", "ip6tables-nft", "ufw"]));
  }, 20_000);
});

/** Only our own table, and no connection that is known already. */
function clear(): void {
  if (inNat(["cat", "/proc/net/ip_tables_names"]).includes("filter")) {
    restore("iptables-legacy-restore", "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT");
  }
  inNat(["nft", "-f", "-"], `flush ruleset\n${OURS}`);
  inNat(["conntrack", "-F"]);
}
