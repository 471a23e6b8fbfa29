import { PROTOCOLS } from "../../core/port-spans.ts";
import type { CommandError, Run } from "../../os/command.ts";
import type { Cidr } from "../../wire/address.ts";
import { isIpv6 } from "../../wire/address.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { parseIptables } from "./firewalls/iptables.ts";
import { parseNftRuleset, tablesWithSets } from "./firewalls/nft.ts";
import { type Manager, managerOf, type Need, type Remedy, remedyFor } from "./firewalls/remedy.ts";
import {
  type Dialect,
  type Fate,
  type FilterChain,
  type FilterTable,
  fateIn,
  type Hook,
  type Packet,
} from "./firewalls/ruleset.ts";
import type { NatError } from "./state.ts";

/**
 * Other firewalls of this machine. A drop is final and our accept is not: netfilter asks every base chain of a hook,
 * whatever its table, so one rule of theirs is needed where theirs would stop what we let through.
 */
export interface Finding {
  readonly manager: Manager;
  readonly dialect: Dialect;
  readonly family: FilterTable["family"];
  readonly table: string;
  readonly chain: string;
  /** One sentence. */
  readonly why: string;
  readonly blocks: readonly Blocked[];
  readonly remedy: Remedy;
}

export const BLOCKED = ["forwards", "pinholes", "clients", "servers", "vpn"] as const;
/** servers: ours for clients inside. vpn: peers that come to this machine. */
export type Blocked = (typeof BLOCKED)[number];

/** What must get through, from NatSettings and the interfaces' addresses. */
export interface Surroundings {
  readonly wan: readonly string[];
  /** The VPN's interface is one of them, here. `networks` empty = anything may come by it. */
  readonly inside: readonly { readonly name: string; readonly networks: readonly Cidr[] }[];
  readonly servers: Readonly<Record<Protocol, readonly number[]>>;
  /** UDP port that peers of the VPN come to from outside. */
  readonly vpnPort: number | null;
  /** Clients have IPv6. */
  readonly ipv6: boolean;
  /** The one bit of the conntrack mark that our table gives to pinholes' connections; null = it gives none. */
  readonly pinholeMark: number | null;
}

/** What was read from this machine. */
export interface FirewallFacts {
  /** `nft -j list ruleset`. */
  readonly nft: string;
  /** `iptables -S` of those tables whose rules nft's JSON does not show: extensions of iptables, and legacy tables. */
  readonly iptables: readonly { readonly dialect: Exclude<Dialect, "nft">; readonly rules: string }[];
}

const OUR_TABLE = "hatchway";
/** NF_IP_PRI_NAT_DST: an earlier chain sees what comes from outside with our own address on it. */
const DNAT_PRIORITY = -100;
/** NF_IP_PRI_CONNTRACK: an earlier chain does not know connections (nft says `invalid` then). */
const CONNTRACK_PRIORITY = -200;
const SSDP_PORT = 1900;
/** UPnP's groups differ in scope with IPv6. */
const SSDP_GROUP = { 4: "239.255.255.250/32", 6: "ff00::/8" } as Readonly<Record<4 | 6, Cidr>>;

interface Probe {
  readonly blocked: Blocked;
  readonly hooks: readonly Hook[];
  readonly packet: Packet;
  readonly need: Need;
}

export function findBlockingFirewalls(facts: FirewallFacts, ours: Surroundings): Result<Finding[], NatError> {
  const parsed = parseNftRuleset(facts.nft);
  if (!parsed.ok) {
    return err({
      kind: "refused",
      message: `Cannot read the firewall's rules from "nft -j list ruleset": ${parsed.error}.`,
    });
  }
  const viaIptables = facts.iptables.map(({ dialect, rules }) => parseIptables(dialect, rules));
  const isShownBetter = (table: FilterTable): boolean =>
    viaIptables.some(
      ({ dialect, family }) => dialect.endsWith("-nft") && table.name === "filter" && family === table.family,
    );
  const tables = [...parsed.value.filter((table) => !isShownBetter(table)), ...viaIptables];
  const probes = probesOf(ours);
  return ok(tables.filter(({ name }) => name !== OUR_TABLE).flatMap((table) => findingsIn(table, probes)));
}

function findingsIn(table: FilterTable, probes: readonly Probe[]): Finding[] {
  return [...table.chains.values()].flatMap((chain) => {
    const { base } = chain;
    if (base === null) return [];
    const stopped = probes.flatMap((probe) => {
      if (!probe.hooks.includes(base.hook) || !sees(table, probe.packet)) return [];
      const seen = asSeenBy(base, probe);
      const fate = fateIn(table, chain, seen.packet);
      return fate.end === "drop" ? [{ ...seen, fate }] : [];
    });
    const [first] = stopped;
    if (first === undefined) return [];
    const manager = managerOf(table, base.hook);
    const blocks = BLOCKED.filter((kind) => stopped.some(({ blocked }) => blocked === kind));
    const needs = stopped.map(({ need }) => need);
    const zoneOf = (inBy: string): string => zoneIn(table, inBy);
    return {
      manager,
      dialect: table.dialect,
      family: table.family,
      table: table.name,
      chain: chain.name,
      why: whyText(manager, table, chain, first.fate, blocks),
      blocks,
      remedy: remedyFor(manager, { table, chain, hook: base.hook, zoneOf }, needs),
    };
  });
}

function sees({ family }: FilterTable, packet: Packet): boolean {
  return family === "inet" || family === (packet.family === 4 ? "ip" : "ip6");
}

/** Before routing nobody knows where a packet leaves; before DNAT, not where it goes; and earlier, not whose it is. */
function asSeenBy({ hook, priority }: NonNullable<FilterChain["base"]>, probe: Probe): Probe {
  if (hook !== "prerouting") return probe;
  // Our mark comes later, too.
  const packet: Packet = { ...probe.packet, outBy: null, ctMark: null };
  const entering: Need = { kind: "entering", inBy: packet.inBy, family: null };
  if (priority <= CONNTRACK_PRIORITY) {
    return { ...probe, need: entering, packet: { ...packet, state: "invalid", dnat: false } };
  }
  if (probe.blocked === "forwards" && packet.state === "new" && priority <= DNAT_PRIORITY) {
    const need: Need = { kind: "arriving", inBy: packet.inBy };
    return { ...probe, need, packet: { ...packet, dnat: false, destination: "local" } };
  }
  if (probe.need.kind === "outgoing") return { ...probe, need: entering, packet };
  if (probe.need.kind === "pinhole") return { ...probe, need: { ...entering, family: 6 }, packet };
  return { ...probe, packet };
}

/** The least that is true of a packet of ours. */
const ANY = {
  port: null,
  outBy: null,
  state: "new",
  dnat: false,
  ctMark: null,
  destination: "unicast",
  from: [],
  to: [],
} as const;
const ROUTED: readonly Hook[] = ["prerouting", "forward"];
const DELIVERED: readonly Hook[] = ["prerouting", "input"];

function probesOf(ours: Surroundings): Probe[] {
  const { wan, inside, vpnPort } = ours;
  const probes = inside.flatMap((one) => [
    ...wan.flatMap((outside) => routedProbes(ours, outside, one)),
    ...hairpinProbes(one),
    ...serverProbes(ours, one),
  ]);
  if (vpnPort === null) return probes;
  const peers = wan.map((inBy): Probe => {
    const packet: Packet = { ...ANY, family: 4, protocol: "udp", port: vpnPort, inBy, destination: "local" };
    return { blocked: "vpn", hooks: DELIVERED, packet, need: { kind: "server", inBy, protocol: "udp", port: vpnPort } };
  });
  return [...probes, ...peers];
}

type Inside = Surroundings["inside"][number];

function familiesOf({ ipv6 }: Surroundings): readonly (4 | 6)[] {
  return ipv6 ? [4, 6] : [4];
}

function networksOf({ networks }: Inside, family: 4 | 6): readonly Cidr[] {
  return networks.filter((network) => isIpv6(network) === (family === 6));
}

/** Between one interface outside and one inside, both directions of each connection. */
function routedProbes(ours: Surroundings, outside: string, inside: Inside): Probe[] {
  const { name } = inside;
  const probes: Probe[] = [];
  const add = (blocked: Blocked, packet: Packet, need: Need): void => {
    probes.push({ blocked, hooks: ROUTED, packet, need });
  };
  const answer = { state: "established" } as const;
  for (const protocol of PROTOCOLS) {
    for (const family of familiesOf(ours)) {
      const networks = networksOf(inside, family);
      const inward: Packet = { ...ANY, family, protocol, inBy: outside, outBy: name, to: networks };
      const outward: Packet = { ...ANY, family, protocol, inBy: name, outBy: outside, from: networks };
      if (family === 4) {
        add("forwards", { ...inward, dnat: true }, { kind: "forwarded" });
        add("forwards", { ...outward, dnat: true, ...answer }, { kind: "forwarded" });
      } else {
        const { pinholeMark: mark } = ours;
        add("pinholes", { ...inward, ctMark: mark }, { kind: "pinhole", inBy: outside, outBy: name, mark });
        add("pinholes", { ...outward, ...answer }, { kind: "replies" });
      }
      add("clients", outward, { kind: "outgoing", inBy: name, outBy: outside });
      add("clients", { ...inward, ...answer }, { kind: "replies" });
    }
  }
  return probes;
}

/** A client that comes to a forward by the external address, and leaves by where it came from. */
function hairpinProbes(inside: Inside): Probe[] {
  const { name } = inside;
  const from = networksOf(inside, 4);
  return PROTOCOLS.map((protocol) => {
    const packet: Packet = { ...ANY, family: 4, protocol, inBy: name, outBy: name, dnat: true, from, to: from };
    return { blocked: "forwards", hooks: ROUTED, packet, need: { kind: "forwarded" } };
  });
}

function serverProbes(ours: Surroundings, inside: Inside): Probe[] {
  const inBy = inside.name;
  return PROTOCOLS.flatMap((protocol) =>
    ours.servers[protocol].flatMap((port) =>
      familiesOf(ours).flatMap((family) => {
        const from = networksOf(inside, family);
        const packet: Packet = { ...ANY, family, protocol, port, inBy, from, destination: "local" };
        const need: Need = { kind: "server", inBy, protocol, port };
        const probe: Probe = { blocked: "servers", hooks: DELIVERED, packet, need };
        if (port !== SSDP_PORT) return [probe];
        const search: Packet = { ...packet, destination: "multicast", to: [SSDP_GROUP[family]] };
        return [probe, { ...probe, packet: search }];
      }),
    ),
  );
}

const MANAGER_NAMES: Readonly<Record<Manager, string>> = {
  firewalld: "firewalld",
  fw4: "OpenWrt's firewall",
  ufw: "ufw",
  docker: "Docker",
  libvirt: "libvirt",
  iptables: "A firewall made with iptables",
  nftables: "A firewall made with nft",
};
const BLOCKED_NAMES: Readonly<Record<Blocked, string>> = {
  forwards: "IPv4 forwards",
  pinholes: "IPv6 pinholes",
  clients: "what clients send and get",
  servers: "requests of clients to this gateway",
  vpn: "VPN peers",
};

function whyText(
  manager: Manager,
  table: FilterTable,
  chain: FilterChain,
  fate: Fate,
  blocks: readonly Blocked[],
): string {
  const what = new Intl.ListFormat("en").format(blocks.map((kind) => BLOCKED_NAMES[kind]));
  const by =
    fate.by === null ? `the policy of chain ${chain.name} is drop` : `a rule in chain ${fate.by} drops what is left`;
  return `${MANAGER_NAMES[manager]} stops ${what}: ${by}, in table ${table.family} ${table.name}.`;
}

/** By the chain that firewalld leads an interface's packets to (`filter_IN_public`, or `IN_public` with iptables). */
function zoneIn(table: FilterTable, inBy: string): string {
  const input = [...table.chains.values()].find(({ base }) => base?.hook === "input");
  if (input === undefined) return "public";
  const packet: Packet = { ...ANY, family: 4, protocol: "udp", inBy, destination: "local" };
  const names = fateIn(table, input, packet).trail.map((name) => name.match(/^(?:filter_)?IN_(?!policy_)(.+)$/)?.[1]);
  return names.find((name) => name !== undefined) ?? "public";
}

/** Loads no kernel module: iptables is asked only where its tables are there already. */
export async function readFirewalls(run: Run, ours: Surroundings): Promise<Result<Finding[], NatError>> {
  const nft = await readRuleset(run);
  if (!nft.ok) return nft;
  const iptables: FirewallFacts["iptables"][number][] = [];
  for (const dialect of await iptablesToAsk(run, nft.value)) {
    const rules = await run([dialect, "-S"]);
    // Not there, or "incompatible, use 'nft' tool": then nft's own list is all there is, and it is enough for native rules.
    if (rules.ok && rules.value.exitCode === 0) iptables.push({ dialect, rules: rules.value.stdout });
  }
  return findBlockingFirewalls({ nft: nft.value, iptables }, ours);
}

/**
 * Without the elements of named sets (-t) unless another table than ours has such sets: with 20,000 forwards of ours the
 * whole list is 8 MB and takes nft 2 s, which is once a minute; without them 6 ms.
 */
async function readRuleset(run: Run): Promise<Result<string, NatError>> {
  const list = async (...options: readonly string[]): Promise<Result<string, NatError>> => {
    const listed = await run(["nft", "-j", ...options, "list", "ruleset"]);
    if (!listed.ok) return err({ kind: natErrorKind(listed.error.kind), message: listed.error.message });
    const { exitCode, stdout, stderr } = listed.value;
    if (exitCode === 0) return ok(stdout);
    const kind = /not permitted/i.test(stderr) ? "permission" : "refused";
    return err({ kind, message: `Cannot read the firewall's rules: nft says "${firstLine(stderr)}".` });
  };
  const terse = await list("-t");
  return terse.ok && tablesWithSets(terse.value).some((name) => name !== OUR_TABLE) ? await list() : terse;
}

function natErrorKind(kind: CommandError["kind"]): NatError["kind"] {
  return kind === "missing" || kind === "permission" ? kind : "refused";
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}

/** nft's JSON names the extensions of iptables-nft without their settings; legacy tables are not in it at all. */
async function iptablesToAsk(run: Run, nft: string): Promise<Exclude<Dialect, "nft">[]> {
  const ask: Exclude<Dialect, "nft">[] = [];
  const parsed = parseNftRuleset(nft);
  for (const table of parsed.ok ? parsed.value : []) {
    if (table.name !== "filter" || !(table.chains.has("FORWARD") || table.chains.has("INPUT"))) continue;
    if (table.family === "ip") ask.push("iptables-nft");
    if (table.family === "ip6") ask.push("ip6tables-nft");
  }
  for (const [path, dialect] of LEGACY_TABLES) {
    const loaded = await run(["cat", path]);
    if (loaded.ok && loaded.value.stdout.split("\n").includes("filter")) ask.push(dialect);
  }
  return ask;
}

/** The kernel lists the legacy tables of this network namespace here; absent = the module is not loaded. */
const LEGACY_TABLES = [
  ["/proc/net/ip_tables_names", "iptables-legacy"],
  ["/proc/net/ip6_tables_names", "ip6tables-legacy"],
] as const;
