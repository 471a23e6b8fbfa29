import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../../os/command.ts";
import type { Cidr } from "../../wire/address.ts";
import { err, ok } from "../../wire/result.ts";
import {
  type Finding,
  type FirewallFacts,
  findBlockingFirewalls,
  readFirewalls,
  type Surroundings,
} from "./firewalls.ts";
import { PINHOLE_MARK } from "./names.ts";

const fixture = (name: string): string =>
  readFileSync(join(import.meta.dir, "../../../test/fixtures/firewalls", name), "utf8");
const EMPTY = '{"nftables": []}';
const inside = (name: string, ...networks: string[]) => ({ name, networks: networks as Cidr[] });
const HOME: Surroundings = {
  wan: ["wan"],
  inside: [inside("lan1", "192.168.77.0/24"), inside("lan2", "192.168.78.0/24")],
  servers: { tcp: [5000], udp: [1900, 5351] },
  vpnPort: null,
  ipv6: true,
  pinholeMark: PINHOLE_MARK,
};
const BRIDGE = { ...HOME, inside: [inside("br-lan", "192.168.1.0/24")] };
const VIRTUAL = { ...HOME, inside: [inside("virbr0", "192.168.122.0/24")] };
const NO_SERVERS = { ...HOME, servers: { tcp: [], udp: [] } };

const nft = (name: string): FirewallFacts => ({ nft: fixture(`${name}.nftjson`), iptables: [] });
const v4 = (name: string, dialect: "iptables-nft" | "iptables-legacy" = "iptables-nft"): FirewallFacts => ({
  nft: EMPTY,
  iptables: [{ dialect, rules: fixture(`${name}.v4`) }],
});
const BEFORE_DNAT = { ...nft("nftables-raw"), nft: nft("nftables-raw").nft.replace('"prio": -300', '"prio": -150') };
const v4Rules = (...lines: readonly string[]): FirewallFacts => ({
  nft: EMPTY,
  iptables: [{ dialect: "iptables-nft", rules: lines.join("\n") }],
});
const found = (facts: FirewallFacts, ours: Surroundings): readonly Finding[] => {
  const result = findBlockingFirewalls(facts, ours);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
};
const brief = (finding: Finding): string =>
  `${finding.manager} ${finding.family} ${finding.table} ${finding.chain}: ${finding.blocks.join(" ")}`;
const commands = (finding: Finding | undefined): string[] => (finding?.remedy.now ?? []).map((argv) => argv.join(" "));

describe("what other firewalls stop", () => {
  const ufw: FirewallFacts = {
    nft: EMPTY,
    iptables: [
      { dialect: "iptables-nft", rules: fixture("ufw.v4") },
      { dialect: "ip6tables-nft", rules: fixture("ufw.v6") },
    ],
  };
  const cases: readonly [string, FirewallFacts, Surroundings, readonly string[]][] = [
    ["no rules at all", { nft: EMPTY, iptables: [] }, HOME, []],
    ["Docker 28", v4("docker"), HOME, ["docker ip filter FORWARD: forwards clients"]],
    ["Docker before 28", v4("docker-20"), HOME, ["docker ip filter FORWARD: forwards clients"]],
    [
      "Docker's legacy tables",
      v4("docker-20", "iptables-legacy"),
      HOME,
      ["docker ip filter FORWARD: forwards clients"],
    ],
    [
      "ufw: SSDP's multicast comes through, and nothing else",
      ufw,
      HOME,
      [
        "ufw ip filter INPUT: servers",
        "ufw ip filter FORWARD: forwards clients",
        "ufw ip6 filter INPUT: servers",
        "ufw ip6 filter FORWARD: pinholes clients",
      ],
    ],
    [
      "ufw without IPv6 here",
      { ...ufw, iptables: ufw.iptables.slice(0, 1) },
      { ...NO_SERVERS, ipv6: false },
      ["ufw ip filter FORWARD: forwards clients"],
    ],
    [
      "firewalld takes what was redirected",
      nft("firewalld"),
      HOME,
      ["firewalld inet firewalld filter_INPUT: servers", "firewalld inet firewalld filter_FORWARD: pinholes clients"],
    ],
    [
      "firewalld with StrictForwardPorts",
      { ...nft("firewalld"), nft: withoutLines(nft("firewalld").nft, '"status"') },
      NO_SERVERS,
      ["firewalld inet firewalld filter_FORWARD: forwards pinholes clients"],
    ],
    ["firewalld after its remedy", nft("firewalld-mended"), { ...HOME, vpnPort: 51_820 }, []],
    ["OpenWrt", nft("fw4"), BRIDGE, ["fw4 inet fw4 forward: forwards pinholes"]],
    ["OpenWrt with a redirect of its own", nft("fw4-redirects"), BRIDGE, ["fw4 inet fw4 forward: pinholes"]],
    ["libvirt beside us", nft("libvirt"), HOME, []],
    ["libvirt's guests are the clients", nft("libvirt"), VIRTUAL, ["libvirt ip libvirt_network forward: forwards"]],
    ["libvirt with iptables", v4("libvirt"), VIRTUAL, ["libvirt ip filter FORWARD: forwards"]],
    [
      "iptables by hand",
      v4("iptables"),
      HOME,
      ["iptables ip filter INPUT: servers", "iptables ip filter FORWARD: forwards"],
    ],
    [
      "nft by hand, clients go out",
      nft("nftables-workstation"),
      HOME,
      ["nftables inet filter input: servers", "nftables inet filter forward: forwards pinholes"],
    ],
    ["nft by addresses of ours", nft("nftables-subnets"), HOME, ["nftables ip guard guarded: forwards"]],
    [
      "nft by addresses that are not ours",
      nft("nftables-subnets"),
      { ...HOME, inside: [inside("lan1", "192.168.0.0/16")] },
      ["nftables ip guard guarded: forwards clients"],
    ],
    ["nft with all that ours need", nft("nftables-good"), { ...HOME, vpnPort: 51_820 }, []],
    [
      "nft with all but the VPN",
      nft("nftables-good"),
      { ...HOME, vpnPort: 51_821 },
      ["nftables inet filter input: vpn"],
    ],
    [
      "nft without a mark of ours",
      nft("nftables-good"),
      { ...HOME, pinholeMark: null },
      ["nftables inet filter forward: pinholes"],
    ],
    ["nft before conntrack", nft("nftables-raw"), HOME, ["nftables inet early first: forwards pinholes clients"]],
    ["nft before DNAT", BEFORE_DNAT, HOME, ["nftables inet early first: forwards pinholes"]],
    [
      "hairpin alone",
      v4Rules(
        "-P FORWARD DROP",
        "-A FORWARD -i wan -m conntrack --ctstate DNAT -j ACCEPT",
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -i lan+ -o wan -j ACCEPT",
      ),
      HOME,
      ["iptables ip filter FORWARD: forwards"],
    ],
    [
      "our own table",
      {
        ...nft("nftables-good"),
        nft: nft("nftables-workstation")
          .nft.replaceAll('"filter", "name"', '"x", "name"')
          .replaceAll('"name": "filter"', '"name": "hatchway"')
          .replaceAll('"table": "filter"', '"table": "hatchway"'),
      },
      HOME,
      [],
    ],
    [
      "a table that sleeps",
      {
        iptables: [],
        nft: nft("nftables-raw").nft.replace('"name": "early"', '"name": "early", "flags": "dormant"'),
      },
      HOME,
      [],
    ],
  ];
  test.each(cases)("%s", (_, facts, ours, expected) => {
    expect(found(facts, ours).map(brief)).toEqual([...expected]);
  });

  test("says why, in one sentence", () => {
    expect(found(v4("docker"), HOME)[0]?.why).toBe(
      "Docker stops IPv4 forwards and what clients send and get: the policy of chain FORWARD is drop, in table ip filter.",
    );
    expect(found(nft("libvirt"), VIRTUAL)[0]?.why).toBe(
      "libvirt stops IPv4 forwards: a rule in chain guest_input drops what is left, in table ip libvirt_network.",
    );
  });

  test("rules for some packets change nothing, whatever they say", () => {
    const rules = fixture("docker.v4").replace(
      "-A FORWARD -j DOCKER-USER",
      [
        "-A FORWARD -s 198.51.100.7/32 -j DROP",
        "-A FORWARD -m conntrack --ctstate INVALID -j DROP",
        "-A FORWARD -p tcp -m tcp --dport 22 -j ACCEPT",
        "-A FORWARD -m set --match-set friends src -j ACCEPT",
        "-A FORWARD -m mark --mark 0x8000000 -j ACCEPT",
        "-A FORWARD ! -i wan -m physdev --physdev-in eth9 -j ACCEPT",
      ].join("\n"),
    );
    expect(found({ nft: EMPTY, iptables: [{ dialect: "iptables-nft", rules }] }, HOME).map(brief)).toEqual([
      "docker ip filter FORWARD: forwards clients",
    ]);
  });

  test("what is not the JSON of nft is an error, not an empty answer", () => {
    for (const text of ["", "{", "[]", '{"nftables": 1}']) {
      expect(findBlockingFirewalls({ nft: text, iptables: [] }, HOME)).toMatchObject({ ok: false });
    }
  });
});

describe("the remedy", () => {
  const cases: readonly [string, FirewallFacts, Surroundings, readonly string[]][] = [
    [
      "Docker",
      v4("docker"),
      { ...HOME, inside: HOME.inside.slice(0, 1) },
      [
        "iptables-nft -I DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT",
        "iptables-nft -I DOCKER-USER -i lan1 -o wan -j ACCEPT",
        "iptables-nft -I DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      ],
    ],
    [
      "OpenWrt",
      nft("fw4-redirects"),
      BRIDGE,
      ["nft insert rule inet fw4 forward ct mark & 0x8000000 == 0x8000000 accept"],
    ],
    ["nft before conntrack", nft("nftables-raw"), HOME, ['nft insert rule inet early first iifname "wan" accept']],
    [
      "nft before DNAT",
      BEFORE_DNAT,
      HOME,
      [
        'nft insert rule inet early first iifname "wan" fib daddr type local accept',
        'nft insert rule inet early first meta nfproto ipv6 iifname "wan" accept',
      ],
    ],
    [
      "firewalld",
      nft("firewalld"),
      { ...HOME, servers: { tcp: [], udp: [5351] } },
      [
        "firewall-cmd --permanent --zone=internal --add-port=5351/udp",
        "firewall-cmd --reload",
        "firewall-cmd --permanent --new-policy=hatchway-internal",
        "firewall-cmd --permanent --policy=hatchway-internal --add-ingress-zone=internal",
        "firewall-cmd --permanent --policy=hatchway-internal --add-egress-zone=external",
        "firewall-cmd --permanent --policy=hatchway-internal --set-target=ACCEPT",
        "firewall-cmd --permanent --new-policy=hatchway6-internal",
        "firewall-cmd --permanent --policy=hatchway6-internal --add-ingress-zone=external",
        "firewall-cmd --permanent --policy=hatchway6-internal --add-egress-zone=internal",
        'firewall-cmd --permanent --policy=hatchway6-internal --add-rich-rule=rule family="ipv6" destination address="::/0" accept',
        "firewall-cmd --reload",
      ],
    ],
  ];
  test.each(cases)("for %s", (_, facts, ours, expected) => {
    expect(found(facts, ours).flatMap(commands)).toEqual([...expected]);
  });

  test.each([
    ["docker.v4", HOME],
    ["docker-20.v4", HOME],
    ["iptables.v4", HOME],
    ["libvirt.v4", VIRTUAL],
    ["ufw.v4", NO_SERVERS],
  ] as const)("ends the finding: %s", (name, ours) => {
    let rules = fixture(name);
    const facts = (): FirewallFacts => ({ nft: EMPTY, iptables: [{ dialect: "iptables-nft", rules }] });
    const before = found(facts(), ours);
    expect(before).not.toEqual([]);
    for (const argv of before.flatMap(({ remedy }) => remedy.now)) rules = applied(rules, argv);
    expect(found(facts(), ours)).toEqual([]);
  });

  test("of ufw lasts: its own commands, and lines for before.rules", () => {
    const [input, forward] = found(v4("ufw"), { ...HOME, inside: HOME.inside.slice(0, 1) });
    expect(commands(input)).toContain("ufw allow in on lan1 to any port 5351 proto udp");
    expect(input?.remedy.keep).toEqual({ files: [], commands: [] });
    expect(commands(forward)).toContain("ufw route allow in on lan1 out on wan");
    expect(forward?.remedy.keep).toEqual({
      files: [
        {
          path: "/etc/ufw/before.rules",
          where: "before the line COMMIT",
          lines: ["-A ufw-before-forward -m conntrack --ctstate DNAT -j ACCEPT"],
        },
      ],
      commands: [["ufw", "reload"]],
    });
  });
});

describe("reading this machine", () => {
  const answering =
    (answers: Record<string, string>, asked: string[] = []): Run =>
    async (argv) => {
      const line = argv.join(" ");
      asked.push(line);
      const stdout = answers[line];
      if (stdout !== undefined) return ok({ exitCode: 0, stdout, stderr: "" });
      return ok({ exitCode: 1, stdout: "", stderr: "no" });
    };
  const DOCKER_NFT = JSON.stringify({
    nftables: [
      { table: { family: "ip", name: "filter" } },
      {
        chain: {
          family: "ip",
          table: "filter",
          name: "FORWARD",
          type: "filter",
          hook: "forward",
          prio: 0,
          policy: "drop",
        },
      },
      {
        rule: {
          family: "ip",
          table: "filter",
          chain: "FORWARD",
          expr: [{ xt: { type: "match", name: "conntrack" } }, { accept: null }],
        },
      },
    ],
  });

  test("asks iptables for what nft's JSON does not show", async () => {
    const rules = fixture("docker.v4");
    const answers = { "nft -j -t list ruleset": DOCKER_NFT, "iptables-nft -S": rules };
    const withRule = rules.replace(
      "-A FORWARD -j DOCKER-FORWARD",
      "-A DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT\n$&",
    );
    const clientsPass = withRule.replace(
      "-A FORWARD -j DOCKER-FORWARD",
      "-A FORWARD -i lan+ -o wan -j ACCEPT\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    );
    expect(await readFirewalls(answering(answers), HOME)).toMatchObject({ ok: true, value: [{ manager: "docker" }] });
    const mended = await readFirewalls(answering({ ...answers, "iptables-nft -S": clientsPass }), HOME);
    expect(mended).toEqual(ok([]));
  });

  test("without iptables, nft's list has to do", async () => {
    const result = await readFirewalls(answering({ "nft -j -t list ruleset": DOCKER_NFT }), HOME);
    expect(result).toMatchObject({ ok: true, value: [{ manager: "nftables", chain: "FORWARD" }] });
  });

  test("reads the elements of sets only where another table than ours has some", async () => {
    const set = (table: string, more: object) => ({ set: { family: "inet", table, name: "s", type: "mark", ...more } });
    const ruleset = (table: string, more: object) =>
      JSON.stringify({ nftables: [{ table: { family: "inet", name: table } }, set(table, more)] });
    for (const [table, asks] of [
      ["hatchway", 1],
      ["admin", 2],
    ] as const) {
      const asked: string[] = [];
      const answers = {
        "nft -j -t list ruleset": ruleset(table, {}),
        "nft -j list ruleset": ruleset(table, { elem: [1] }),
      };
      expect(await readFirewalls(answering(answers, asked), HOME)).toEqual(ok([]));
      expect(asked.filter((line) => line.startsWith("nft"))).toHaveLength(asks);
    }
  });

  test("asks legacy iptables only where its tables are loaded", async () => {
    const asked: string[] = [];
    await readFirewalls(answering({ "nft -j -t list ruleset": EMPTY }, asked), HOME);
    expect(asked.filter((line) => line.includes("tables-"))).toEqual([]);
    const answers = {
      "nft -j -t list ruleset": EMPTY,
      "cat /proc/net/ip_tables_names": "nat\nfilter\n",
      "iptables-legacy -S": fixture("docker-20.v4"),
    };
    const result = await readFirewalls(answering(answers), HOME);
    expect(result).toMatchObject({ ok: true, value: [{ manager: "docker", dialect: "iptables-legacy" }] });
  });

  test("no nft, no right, no sense", async () => {
    const missing: Run = async () => err({ kind: "missing", message: "Install nft." });
    expect(await readFirewalls(missing, HOME)).toEqual(err({ kind: "missing", message: "Install nft." }));
    const forbidden: Run = async () => ok({ exitCode: 1, stdout: "", stderr: "Error: Operation not permitted\nmore" });
    expect(await readFirewalls(forbidden, HOME)).toMatchObject({ error: { kind: "permission" } });
    const broken: Run = async () => ok({ exitCode: 0, stdout: "?", stderr: "" });
    expect(await readFirewalls(broken, HOME)).toMatchObject({ error: { kind: "refused" } });
  });
});

function withoutLines(text: string, part: string): string {
  return text
    .split("\n")
    .filter((line) => !line.includes(part))
    .join("\n");
}

/** What the kernel holds after the command. */
function applied(rules: string, [program, ...args]: readonly string[]): string {
  const [chain, rule] =
    program === "ufw"
      ? ["ufw-user-forward", `-i ${args[4]} -o ${args[7]} -j ACCEPT`]
      : [args[1], args.slice(2).join(" ")];
  const lines = rules.split("\n");
  const at = lines.findIndex((line) => line.startsWith("-A "));
  return [...lines.slice(0, at), `-A ${chain} ${rule}`, ...lines.slice(at)].join("\n");
}
