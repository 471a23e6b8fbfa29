import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import {
  ipBatch,
  namespaceFiles,
  namespaceName,
  removeNamespace,
  SBIN_PATH,
  sweepLeftovers,
  tool,
  whyNotHere,
} from "./namespaces.ts";

/**
 * Network namespaces for one test file:
 *
 *   visitor .10 ┐
 *   relay    .1 ┼─ "internet" 203.0.113.0/24, 2001:db8:113::/64 ─ nat .20 ┬ agent 192.168.77.2, fd00:77::2
 *   (bridge)    ┘                                                       └ other 192.168.78.2, fd00:78::2
 *
 * The NAT box masquerades IPv4 and IPv6 and lets nothing in, so agent and other have no route from the visitor and
 * their addresses are hidden. Visitor and relay have no default route. `visitor.test`, `visitor6.test` and the like
 * resolve everywhere in the lab, by /etc/hosts.
 */
export interface Lab extends Machines, AsyncDisposable {
  readonly visitor: Host;
  readonly relay: Host;
  readonly nat: Host;
  readonly agent: Host;
  /** A second device behind the same NAT box, in a network of its own. */
  readonly other: Host;
  /** Packets between the NAT box's two sides vanish, without a reset, until `restore`. */
  blackhole(): void;
  restore(): void;
  /** The NAT box loses its line, until `plugIn`. */
  unplug(): void;
  plugIn(): void;
  /** Gives the agent another address in its network; connections from the old one go silent. */
  moveAgent(lastOctet: number): void;
}

/** Machines in namespaces, and a directory for their files. */
export interface Machines {
  /** Removed at the end. */
  readonly directory: string;
  /** Runs a program to its end. */
  exec(host: Host, argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Starts a program that goes on; it ends with the lab at the latest. */
  spawn(host: Host, argv: readonly string[], options?: { readonly env?: Record<string, string> }): Child;
}

export interface Host {
  readonly namespace: string;
  readonly v4: string;
  readonly v6: string;
}

export interface ExecOptions {
  readonly env?: Record<string, string>;
  /** Kills the program then; default 30 s. */
  readonly timeoutMs?: number;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A second address of the visitor, for rules about sources. */
export const VISITOR_SECOND_V4 = "203.0.113.11";
export const VISITOR_SECOND_V6 = "2001:db8:113::11";

const ROLES = ["net", "visitor", "relay", "nat", "agent", "other"] as const;
const MASQUERADE = `
table inet lab {
  chain postrouting { type nat hook postrouting priority 100; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority 0; policy drop; iifname { "lan1", "lan2" } accept; ct state established,related accept; }
}
`;
const HOSTS = `127.0.0.1 localhost
203.0.113.10 visitor.test
2001:db8:113::10 visitor6.test
203.0.113.1 relay.test
2001:db8:113::1 relay6.test
192.168.77.2 agent.lan
`;
const BLACKHOLE = "add chain inet lab blackhole { type filter hook forward priority -10; policy drop; }\n";
const EXEC_TIMEOUT_MS = 30_000;
const labs = { made: 0 };

/** `natRules: false`: the NAT box forwards between its sides without any rule, for a gateway of ours to take over. */
export function createLab({ natRules = true }: { readonly natRules?: boolean } = {}): Lab {
  const { ns, machines } = openMachines(ROLES, (made) => build(made, natRules));
  const agent = { namespace: ns.agent, v4: "192.168.77.2", v6: "fd00:77::2" };

  return {
    visitor: { namespace: ns.visitor, v4: "203.0.113.10", v6: "2001:db8:113::10" },
    relay: { namespace: ns.relay, v4: "203.0.113.1", v6: "2001:db8:113::1" },
    nat: { namespace: ns.nat, v4: "203.0.113.20", v6: "2001:db8:113::20" },
    agent,
    other: { namespace: ns.other, v4: "192.168.78.2", v6: "fd00:78::2" },
    ...machines,

    blackhole() {
      tool(["ip", "netns", "exec", ns.nat, "nft", "-f", "-"], BLACKHOLE);
    },

    restore() {
      tool(["ip", "netns", "exec", ns.nat, "nft", "delete", "chain", "inet", "lab", "blackhole"]);
    },

    unplug() {
      ipBatch(ns.nat, ["link set wan down"]);
    },

    plugIn() {
      // The kernel drops IPv6 addresses from a link that goes down.
      ipBatch(ns.nat, ["link set wan up", "address replace 2001:db8:113::20/64 dev wan nodad"]);
    },

    moveAgent(lastOctet) {
      ipBatch(ns.agent, [
        "address flush dev eth0 scope global",
        `address add 192.168.77.${lastOctet}/24 dev eth0`,
        `address add fd00:77::${lastOctet}/64 dev eth0 nodad`,
        "route replace default via 192.168.77.1",
        "route replace ::/0 via fd00:77::1",
      ]);
    },
  };
}

/** Namespaces of these roles, wired by `build`; gone when it is disposed, or at the end of the process. */
export function openMachines<R extends string>(
  roles: readonly R[],
  build: (ns: Record<R, string>) => void,
): { readonly ns: Record<R, string>; readonly machines: Machines & AsyncDisposable } {
  const why = whyNotHere();
  if (why !== null) throw new Error(why);
  sweepLeftovers();
  const number = ++labs.made;
  const ns = Object.fromEntries(roles.map((role) => [role, namespaceName(number, role)])) as Record<R, string>;
  const removeAll = (): void => {
    for (const name of Object.values<string>(ns)) removeNamespace(name);
  };
  build(ns);
  process.once("exit", removeAll);

  const directory = mkdtempSync(join(tmpdir(), "hatchway-lab-"));
  const children = new Set<Child>();
  const inNamespace = (host: Host, argv: readonly string[]): string[] => [
    "ip",
    "netns",
    "exec",
    host.namespace,
    ...argv,
  ];
  const baseEnv: Record<string, string> = { PATH: SBIN_PATH, HOME: directory, LANG: "C.UTF-8", NO_COLOR: "1" };
  const machines = {
    directory,

    async exec(host: Host, argv: readonly string[], { env = {}, timeoutMs = EXEC_TIMEOUT_MS }: ExecOptions = {}) {
      const child = startChild(inNamespace(host, argv), { ...baseEnv, ...env });
      const timer = setTimeout(() => child.signal("SIGKILL"), timeoutMs);
      const exitCode = await child.exited;
      clearTimeout(timer);
      return { exitCode, stdout: child.stdout.join("\n"), stderr: child.stderr.join("\n") };
    },

    spawn(host: Host, argv: readonly string[], { env = {} }: { readonly env?: Record<string, string> } = {}) {
      const child = startChild(inNamespace(host, argv), { ...baseEnv, ...env });
      children.add(child);
      void child.exited.then(() => children.delete(child));
      return child;
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([...children].map((child) => child.kill()));
      process.off("exit", removeAll);
      removeAll();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return { ns, machines };
}

function build(ns: Record<(typeof ROLES)[number], string>, natRules: boolean): void {
  ipBatch(null, [
    ...Object.values(ns).map((name) => `netns add ${name}`),
    `link add visitor netns ${ns.net} type veth peer name eth0 netns ${ns.visitor}`,
    `link add relay netns ${ns.net} type veth peer name eth0 netns ${ns.relay}`,
    `link add nat netns ${ns.net} type veth peer name wan netns ${ns.nat}`,
    `link add lan1 netns ${ns.nat} type veth peer name eth0 netns ${ns.agent}`,
    `link add lan2 netns ${ns.nat} type veth peer name eth0 netns ${ns.other}`,
  ]);
  for (const name of Object.values(ns)) {
    mkdirSync(namespaceFiles(name), { recursive: true });
    writeFileSync(join(namespaceFiles(name), "hosts"), HOSTS);
  }
  ipBatch(ns.net, [
    "link add internet type bridge mcast_snooping 0 stp_state 0",
    ...["visitor", "relay", "nat"].map((port) => `link set ${port} master internet up`),
    "link set internet up",
  ]);
  const publicHost = (role: "visitor" | "relay", octets: readonly number[]): void => {
    const addresses = octets.flatMap((n) => [
      `address add 203.0.113.${n}/24 dev eth0`,
      `address add 2001:db8:113::${n}/64 dev eth0 nodad`,
    ]);
    ipBatch(ns[role], ["link set lo up", "link set eth0 up", ...addresses]);
  };
  publicHost("visitor", [10, 11]);
  publicHost("relay", [1]);
  ipBatch(ns.nat, [
    "link set lo up",
    ...["wan", "lan1", "lan2"].map((link) => `link set ${link} up`),
    "address add 203.0.113.20/24 dev wan",
    "address add 2001:db8:113::20/64 dev wan nodad",
    ...[1, 2].flatMap((n) => [
      `address add 192.168.7${6 + n}.1/24 dev lan${n}`,
      `address add fd00:7${6 + n}::1/64 dev lan${n} nodad`,
    ]),
  ]);
  tool(["ip", "netns", "exec", ns.nat, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  if (natRules) tool(["ip", "netns", "exec", ns.nat, "nft", "-f", "-"], MASQUERADE);
  for (const [role, n] of [
    ["agent", 77],
    ["other", 78],
  ] as const) {
    ipBatch(ns[role], [
      "link set lo up",
      "link set eth0 up",
      `address add 192.168.${n}.2/24 dev eth0`,
      `address add fd00:${n}::2/64 dev eth0 nodad`,
      `route add default via 192.168.${n}.1`,
      `route add ::/0 via fd00:${n}::1`,
    ]);
  }
}
