import type { Protocol } from "../../../wire/port-set.ts";
import type { Dialect, FilterChain, FilterTable, Hook } from "./ruleset.ts";

/** Who made a filter, as far as its names tell. */
export const MANAGERS = ["firewalld", "fw4", "ufw", "docker", "libvirt", "iptables", "nftables"] as const;
export type Manager = (typeof MANAGERS)[number];

/** One kind of packet that a filter has to let through. */
export type Need =
  /** What our DNAT leads on, both directions. */
  | { readonly kind: "forwarded" }
  /** The same where DNAT has not happened yet. */
  | { readonly kind: "arriving"; readonly inBy: string }
  /** All that comes by an interface: a chain before routing or connection tracking cannot tell more. */
  | { readonly kind: "entering"; readonly inBy: string; readonly family: 6 | null }
  | { readonly kind: "replies" }
  | { readonly kind: "outgoing"; readonly inBy: string; readonly outBy: string }
  | { readonly kind: "pinhole"; readonly inBy: string; readonly outBy: string; readonly mark: number | null }
  | { readonly kind: "server"; readonly inBy: string; readonly protocol: Protocol; readonly port: number };

export type Argv = readonly string[];

export interface Remedy {
  /** Take effect at once. All that is in `keep` is needed for them to outlast a reload of the firewall, or a restart. */
  readonly now: readonly Argv[];
  readonly keep: { readonly files: readonly FileLines[]; readonly commands: readonly Argv[] };
}

export interface FileLines {
  readonly path: string;
  /** Where in the file, for people. */
  readonly where: string;
  readonly lines: readonly string[];
}

export interface Place {
  readonly table: FilterTable;
  readonly chain: FilterChain;
  readonly hook: Hook;
  /** The zone of firewalld that an interface is in. */
  zoneOf(inBy: string): string;
}

export function managerOf({ name, family, chains, dialect }: FilterTable, hook: Hook): Manager {
  if (name === "firewalld" || chains.has("INPUT_ZONES")) return "firewalld";
  if (name === "fw4" && family === "inet") return "fw4";
  if (name === "libvirt_network") return "libvirt";
  if (name === "docker-bridges") return "docker";
  const upper = chains.has("FORWARD") || chains.has("INPUT");
  if (dialect === "nft" && !upper) return "nftables";
  if ([...chains.keys()].some((chain) => /^ufw6?-before-forward$/.test(chain))) return "ufw";
  // Docker and libvirt filter what is forwarded, and nothing that is for this machine.
  if (hook === "forward" && chains.has("DOCKER-USER")) return "docker";
  if (hook === "forward" && chains.has("LIBVIRT_FWI")) return "libvirt";
  return dialect === "nft" ? "nftables" : "iptables";
}

/** What lets `needs` through this chain, in the words of who made it. */
export function remedyFor(manager: Manager, place: Place, all: readonly Need[]): Remedy {
  // A pinhole's mark is the same on every interface.
  const needs = [...new Map(all.map((need) => [nftWords(need).join(" "), need])).values()];
  switch (manager) {
    case "firewalld":
      return firewalld(place, needs);
    case "fw4":
      return fw4(place, needs);
    case "ufw":
      return ufw(place, needs);
    case "docker":
      return docker(place, needs);
    case "libvirt":
      return libvirt(place, needs);
    case "iptables":
      return iptables(place, needs);
    case "nftables":
      return nftables(place, needs);
    default:
      return manager satisfies never;
  }
}

const NOTHING_MORE = { files: [], commands: [] };
const hex = (mark: number): string => `0x${mark.toString(16)}`;

function nftWords(need: Need): string[] {
  switch (need.kind) {
    case "forwarded":
      return ["ct", "status", "dnat", "accept"];
    case "arriving":
      return ["iifname", `"${need.inBy}"`, "fib", "daddr", "type", "local", "accept"];
    case "entering":
      return [...(need.family === 6 ? ["meta", "nfproto", "ipv6"] : []), "iifname", `"${need.inBy}"`, "accept"];
    case "replies":
      return ["ct", "state", "established,related", "accept"];
    case "outgoing":
      return ["iifname", `"${need.inBy}"`, "oifname", `"${need.outBy}"`, "accept"];
    case "pinhole": {
      const { inBy, outBy, mark } = need;
      if (mark !== null) return ["ct", "mark", "&", hex(mark), "==", hex(mark), "accept"];
      return ["meta", "nfproto", "ipv6", "iifname", `"${inBy}"`, "oifname", `"${outBy}"`, "accept"];
    }
    case "server":
      return ["iifname", `"${need.inBy}"`, need.protocol, "dport", String(need.port), "accept"];
    default:
      return need satisfies never;
  }
}

function iptablesWords(need: Need): string[] {
  switch (need.kind) {
    case "forwarded":
      return ["-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT"];
    case "arriving":
      return ["-i", need.inBy, "-m", "addrtype", "--dst-type", "LOCAL", "-j", "ACCEPT"];
    case "entering":
      return ["-i", need.inBy, "-j", "ACCEPT"];
    case "replies":
      return ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
    case "outgoing":
      return ["-i", need.inBy, "-o", need.outBy, "-j", "ACCEPT"];
    case "pinhole": {
      const { inBy, outBy, mark } = need;
      if (mark !== null) return ["-m", "connmark", "--mark", `${hex(mark)}/${hex(mark)}`, "-j", "ACCEPT"];
      return ["-i", inBy, "-o", outBy, "-j", "ACCEPT"];
    }
    case "server":
      return ["-i", need.inBy, "-p", need.protocol, "--dport", String(need.port), "-j", "ACCEPT"];
    default:
      return need satisfies never;
  }
}

function isV6(dialect: Dialect): boolean {
  return dialect.startsWith("ip6");
}

/** A rule at the head of a chain. */
function inserted({ table, chain }: Place, need: Need, into = chain.name): Argv {
  if (table.dialect === "nft") return ["nft", "insert", "rule", table.family, table.name, into, ...nftWords(need)];
  return [table.dialect, "-I", into, ...iptablesWords(need)];
}

function nftables(place: Place, needs: readonly Need[]): Remedy {
  const { table, chain } = place;
  const where = `at the head of chain ${chain.name} of table ${table.family} ${table.name}`;
  const lines = needs.map((need) => nftWords(need).join(" "));
  return {
    now: needs.map((need) => inserted(place, need)),
    keep: { files: [{ path: "/etc/nftables.conf", where, lines }], commands: [] },
  };
}

/** Debian's iptables-persistent; others have the same file format elsewhere. */
function iptables(place: Place, needs: readonly Need[]): Remedy {
  const path = `/etc/iptables/rules.${isV6(place.table.dialect) ? "v6" : "v4"}`;
  const lines = needs.map((need) => `-I ${place.chain.name} ${iptablesWords(need).join(" ")}`);
  return {
    now: needs.map((need) => inserted(place, need)),
    keep: { files: [{ path, where: "before the line COMMIT of its part *filter", lines }], commands: [] },
  };
}

/**
 * Rules of one's own belong in DOCKER-USER, which comes first (docs.docker.com/engine/network/firewall-iptables). Docker
 * does not keep them, so its service puts them back; `-D` first, because a restart of Docker leaves them.
 */
function docker(place: Place, needs: readonly Need[]): Remedy {
  if (place.table.dialect === "nft") return nftables(place, needs);
  const program = place.table.dialect;
  const lines = needs.flatMap((need) => {
    const rule = `DOCKER-USER ${iptablesWords(need).join(" ")}`;
    return [`ExecStartPost=-${program} -D ${rule}`, `ExecStartPost=${program} -I ${rule}`];
  });
  const name = isV6(program) ? "hatchway6" : "hatchway";
  return {
    now: needs.map((need) => inserted(place, need, "DOCKER-USER")),
    keep: {
      files: [
        {
          path: `/etc/systemd/system/docker.service.d/${name}.conf`,
          where: "a new file",
          lines: ["[Service]", ...lines],
        },
      ],
      commands: [["systemctl", "daemon-reload"]],
    },
  };
}

/** libvirt makes its rules anew for each network that starts, and then calls this hook (libvirt.org/hooks.html). */
function libvirt(place: Place, needs: readonly Need[]): Remedy {
  const now = needs.map((need) => inserted(place, need));
  const lines = now.map((argv) => `[ "$2" != started ] || ${argv.join(" ")}`);
  const path = "/etc/libvirt/hooks/network";
  return {
    now,
    keep: {
      files: [{ path, where: "an executable file that begins with #!/bin/sh", lines }],
      commands: [["chmod", "+x", path]],
    },
  };
}

/**
 * ufw(8): `ufw allow in on …` and `ufw route allow …` work at once and stay. Neither can say "what was redirected", so
 * that goes into before.rules (ufw-framework(8)), whose chains come before all others.
 */
function ufw(place: Place, needs: readonly Need[]): Remedy {
  const v6 = isV6(place.table.dialect);
  const before = `ufw${v6 ? "6" : ""}-before-${place.hook === "input" ? "input" : "forward"}`;
  const now: Argv[] = [];
  const lines: string[] = [];
  for (const need of needs) {
    if (need.kind === "server") {
      now.push(["ufw", "allow", "in", "on", need.inBy, "to", "any", "port", String(need.port), "proto", need.protocol]);
    } else if (need.kind === "outgoing") {
      now.push(["ufw", "route", "allow", "in", "on", need.inBy, "out", "on", need.outBy]);
    } else {
      now.push(inserted(place, need, before));
      lines.push(`-A ${before} ${iptablesWords(need).join(" ")}`);
    }
  }
  if (lines.length === 0) return { now, keep: NOTHING_MORE };
  const path = `/etc/ufw/before${v6 ? "6" : ""}.rules`;
  return { now, keep: { files: [{ path, where: "before the line COMMIT", lines }], commands: [["ufw", "reload"]] } };
}

/**
 * fw4 includes files at the head of its chains (firewall4's tests/06_includes; `position` is documented with
 * openwrt.org/docs/guide-user/firewall/firewall_configuration). A file in /etc/nftables.d cannot do it: that stands
 * before the chains, and nft 1.0.6 does not make a chain that has rules already a base chain.
 */
function fw4(place: Place, needs: readonly Need[]): Remedy {
  const { name } = place.chain;
  const path = `/etc/hatchway-${name}.nft`;
  const section = `firewall.hatchway_${name}`;
  const settings = ["include", "nftables", path, "chain-pre", name];
  const keys = ["", ".type", ".path", ".position", ".chain"];
  return {
    now: needs.map((need) => inserted(place, need)),
    keep: {
      files: [{ path, where: "a new file", lines: needs.map((need) => nftWords(need).join(" ")) }],
      commands: [
        ...keys.map((key, at) => ["uci", "set", `${section}${key}=${settings[at]}`]),
        ["uci", "commit", "firewall"],
        ["fw4", "reload"],
      ],
    },
  };
}

/**
 * Rules put into its table by hand are gone at its next reload, and direct rules do not help: their accept leaves the
 * packet to firewalld's own table (firewalld.direct(5), deprecated). It takes redirected connections by itself, unless
 * StrictForwardPorts=yes (firewalld ≥ 2.3; firewalld.org, "Strict Forward Ports"). Policies: firewalld.policies(5).
 */
function firewalld({ zoneOf }: Place, needs: readonly Need[]): Remedy {
  const commands: Argv[] = [];
  const files: FileLines[] = [];
  const add = (...args: string[]): void => {
    const argv = ["firewall-cmd", "--permanent", ...args];
    if (!commands.some((known) => known.join(" ") === argv.join(" "))) commands.push(argv);
  };
  const policy = (name: string, from: string, to: string, ...rule: string[]): void => {
    add(`--new-policy=${name}`);
    add(`--policy=${name}`, `--add-ingress-zone=${from}`);
    add(`--policy=${name}`, `--add-egress-zone=${to}`);
    add(`--policy=${name}`, ...rule);
  };
  for (const need of needs) {
    switch (need.kind) {
      case "forwarded":
        files.push({
          path: "/etc/firewalld/firewalld.conf",
          where: "instead of its line with the same name",
          lines: ["StrictForwardPorts=no"],
        });
        break;
      case "arriving":
      case "entering":
      case "replies": // it lets all of these through
        break;
      case "server":
        add(`--zone=${zoneOf(need.inBy)}`, `--add-port=${need.port}/${need.protocol}`);
        break;
      case "outgoing": {
        const [from, to] = [zoneOf(need.inBy), zoneOf(need.outBy)];
        // One zone's own interfaces: not a policy's business, but the zone's.
        if (from === to) add(`--zone=${from}`, "--add-forward");
        else policy(`hatchway-${from}`, from, to, "--set-target=ACCEPT");
        break;
      }
      case "pinhole": {
        const [from, to] = [zoneOf(need.inBy), zoneOf(need.outBy)];
        if (from === to) add(`--zone=${from}`, "--add-forward");
        else
          policy(`hatchway6-${to}`, from, to, '--add-rich-rule=rule family="ipv6" destination address="::/0" accept');
        break;
      }
      default:
        need satisfies never;
    }
  }
  return { now: [...commands, ["firewall-cmd", "--reload"]], keep: { files, commands: [] } };
}
