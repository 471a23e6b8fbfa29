import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Host, type Machines, openMachines } from "./lab.ts";
import { ipBatch, namespaceFiles, tool } from "./namespaces.ts";

/**
 * A home: machines behind a router, and what the provider puts above it.
 *
 *   visitor .10 ┐
 *   relay    .1 ┼─ 9.9.9.0/24, 2a00:9::/64 ─┬ router (none)                        ┐
 *   relay    .2 ┘  (bridge "net")           └ above ── 100.64.0.0/10 ── router      ┼─ 192.168.1.0/24, 2a00:91::/64 ┬ agent .20
 *                                                    (or 192.168.0.0/24)           ┘                                └ other .30
 *
 * The addresses outside are public ones, because programs judge an address by its kind; nothing leaves the namespaces,
 * and nobody in them has a route to anywhere else.
 */
export interface HomeLab extends Machines, AsyncDisposable {
  readonly visitor: Host;
  readonly relay: Host;
  /** Without rules of ours or of anybody's: the test starts what forwards there. */
  readonly router: Host;
  /** What is above the router, by its inside; without any network when there is nothing. */
  readonly above: Host;
  readonly agent: Host;
  readonly other: Host;
  /** The router's address outside, as it sees it. */
  readonly wan: string;
  /** Adds a rule set to a machine. */
  nft(host: Host, rules: string): void;
}

/** none: the router has a public address. cgnat: 100.64.0.2 behind the provider's NAT. secondRouter: 192.168.0.2 behind another router of the house. */
export type Above = "none" | "cgnat" | "secondRouter";

export const HOME = {
  relay: "9.9.9.1",
  relaySecond: "9.9.9.2",
  visitor: "9.9.9.10",
  line: "9.9.9.20",
  router: "192.168.1.1",
  agent: "192.168.1.20",
  other: "192.168.1.30",
  router6: "2a00:91::1",
  agent6: "2a00:91::20",
} as const;

const ROLES = ["net", "visitor", "relay", "above", "router", "agent", "other"] as const;
type Namespaces = Record<(typeof ROLES)[number], string>;
const ABOVE = {
  cgnat: { inside: "100.64.0.1/10", router: "100.64.0.2/10", via: "100.64.0.1" },
  secondRouter: { inside: "192.168.0.1/24", router: "192.168.0.2/24", via: "192.168.0.1" },
} as const;
/** What a provider's NAT does, and a router that nobody can ask for anything. */
export const masquerade = (wan: string, lan: string): string => `
table inet home {
  chain postrouting { type nat hook postrouting priority 100; meta nfproto ipv4 oifname "${wan}" masquerade; }
  chain forward { type filter hook forward priority 0; policy drop; iifname "${lan}" accept; ct state established,related accept; }
}
`;

export function createHomeLab({ above = "none" }: { readonly above?: Above } = {}): HomeLab {
  const { ns, machines } = openMachines(ROLES, (made) => build(made, above));
  const host = (namespace: string, v4: string, v6: string): Host => ({ namespace, v4, v6 });
  return {
    ...machines,
    visitor: host(ns.visitor, HOME.visitor, "2a00:9::10"),
    relay: host(ns.relay, HOME.relay, "2a00:9::1"),
    router: host(ns.router, HOME.router, HOME.router6),
    above: host(ns.above, above === "none" ? "" : ABOVE[above].via, ""),
    agent: host(ns.agent, HOME.agent, HOME.agent6),
    other: host(ns.other, HOME.other, "2a00:91::30"),
    wan: above === "none" ? HOME.line : ABOVE[above].router.replace(/\/.*/, ""),
    nft: ({ namespace }, rules) => {
      tool(["ip", "netns", "exec", namespace, "nft", "-f", "-"], rules);
    },
  };
}

function build(ns: Namespaces, above: Above): void {
  ipBatch(null, [
    ...Object.values(ns).map((name) => `netns add ${name}`),
    `link add visitor netns ${ns.net} type veth peer name eth0 netns ${ns.visitor}`,
    `link add relay netns ${ns.net} type veth peer name eth0 netns ${ns.relay}`,
    `link add line netns ${ns.net} type veth peer name wan netns ${above === "none" ? ns.router : ns.above}`,
    ...(above === "none" ? [] : [`link add lan netns ${ns.above} type veth peer name wan netns ${ns.router}`]),
    `link add agent netns ${ns.router} type veth peer name eth0 netns ${ns.agent}`,
    `link add other netns ${ns.router} type veth peer name eth0 netns ${ns.other}`,
  ]);
  for (const name of Object.values(ns)) {
    mkdirSync(namespaceFiles(name), { recursive: true });
    writeFileSync(join(namespaceFiles(name), "hosts"), "127.0.0.1 localhost\n");
  }
  bridge(ns.net, "net", ["visitor", "relay", "line"]);
  publicHost(ns.visitor, [10]);
  publicHost(ns.relay, [1, 2]);
  buildRouter(ns, above);
  if (above !== "none") buildAbove(ns, ABOVE[above].inside);
  for (const [name, octet] of [
    [ns.agent, 20],
    [ns.other, 30],
  ] as const) {
    ipBatch(name, [
      "link set lo up",
      "link set eth0 up",
      `address add 192.168.1.${octet}/24 dev eth0`,
      `address add 2a00:91::${octet}/64 dev eth0 nodad`,
      `route add default via ${HOME.router}`,
      `route add ::/0 via ${HOME.router6}`,
    ]);
  }
}

function bridge(namespace: string, name: string, ports: readonly string[]): void {
  ipBatch(namespace, [
    `link add ${name} type bridge mcast_snooping 0 stp_state 0`,
    ...ports.map((port) => `link set ${port} master ${name} up`),
    `link set ${name} up`,
  ]);
}

function publicHost(namespace: string, octets: readonly number[]): void {
  const addresses = octets.flatMap((octet) => [
    `address add 9.9.9.${octet}/24 dev eth0`,
    `address add 2a00:9::${octet}/64 dev eth0 nodad`,
  ]);
  ipBatch(namespace, ["link set lo up", "link set eth0 up", ...addresses, "route add 2a00:91::/64 via 2a00:9::20"]);
}

/** The home's IPv6 network has no router between but this one, whatever is above it for IPv4. */
function buildRouter(ns: Namespaces, above: Above): void {
  ipBatch(ns.router, ["link set lo up", "link set wan up"]);
  bridge(ns.router, "lan", ["agent", "other"]);
  const wan =
    above === "none"
      ? [`address add ${HOME.line}/24 dev wan`, "address add 2a00:9::20/64 dev wan nodad"]
      : [`address add ${ABOVE[above].router} dev wan`, `route add default via ${ABOVE[above].via}`];
  ipBatch(ns.router, [...wan, `address add ${HOME.router}/24 dev lan`, `address add ${HOME.router6}/64 dev lan nodad`]);
  forwarding(ns.router);
}

function buildAbove(ns: Namespaces, inside: string): void {
  ipBatch(ns.above, [
    "link set lo up",
    "link set wan up",
    "link set lan up",
    `address add ${HOME.line}/24 dev wan`,
    `address add ${inside} dev lan`,
  ]);
  forwarding(ns.above);
  tool(["ip", "netns", "exec", ns.above, "nft", "-f", "-"], masquerade("wan", "lan"));
}

function forwarding(namespace: string): void {
  tool(["ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
}
