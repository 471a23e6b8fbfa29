import { run } from "./commands.ts";

/** Where a program runs. */
export type Place = "visitor" | "relay" | "agent";
const PLACES: readonly Place[] = ["visitor", "relay", "agent"];

/**
 * The addresses inside the namespaces. Nothing outside sees them: the only links are the two veth pairs, and the relay
 * does not route (but between `openRouter` and `closeRouter`), so visitor and agent reach each other through a forward
 * or not at all.
 */
export const ADDRESS = {
  visitor: "10.203.1.2",
  /** Where visitors and agents reach the relay. */
  relay: "10.203.1.1",
  agent: "10.203.2.2",
} as const;
/** Where the hosts of the LAN reach it when it is a router. */
export const RELAY_INNER = "10.203.2.1";
/** The relay's links, when it is a router. */
export const ROUTER_LINK = { wan: "public0", lan: "relay0" } as const;
const LAN = "10.203.2.0/24";
const AGENT_LINK = "inner0";
const POLL_MS = 10;

/** Room for a run of short connections inside TIME-WAIT's minute, above every port that a program here listens on. */
const SYSCTLS = [
  "net.ipv4.ip_local_port_range=30000 65535",
  "net.ipv4.tcp_tw_reuse=1",
  "net.ipv4.tcp_max_syn_backlog=8192",
];

export interface Namespaces {
  /** `command` as it runs in that place. */
  inside(place: Place, command: readonly string[]): string[];
  /** The ids of all processes in that place. */
  processIds(place: Place): Promise<number[]>;
  /** Resets every TCP connection between the agent's machine and the relay, on the agent's side. */
  resetAgentLink(): Promise<void>;
  /** Drops every packet between agent and relay without a word, until the returned function is called. */
  silenceAgentLink(): Promise<() => Promise<void>>;
  /** Makes the relay the router between the visitor and a LAN with these hosts besides the agent's address. */
  openRouter(hosts: readonly string[]): Promise<void>;
  /** Takes that back, and all rules and connections of the relay's kernel with it. */
  closeRouter(): Promise<void>;
  remove(): Promise<void>;
}

/** Needs root. The names hold this process's id, so runs side by side do not meet. */
export async function createNamespaces(): Promise<Namespaces> {
  const name = (place: Place) => `hatchway-bench-${process.pid}-${place}`;
  const inside = (place: Place, command: readonly string[]) => ["ip", "netns", "exec", name(place), ...command];

  async function remove(): Promise<void> {
    for (const place of PLACES) await run(["ip", "netns", "del", name(place)]).catch(() => {});
  }

  async function link(
    from: Place,
    fromLink: string,
    fromAddress: string,
    to: Place,
    toLink: string,
    toAddress: string,
  ) {
    const pair = ["link", "add", fromLink, "type", "veth", "peer", "name", toLink, "netns", name(to)];
    await run(["ip", "-n", name(from), ...pair]);
    for (const [place, device, address] of [
      [from, fromLink, fromAddress],
      [to, toLink, toAddress],
    ] as const) {
      await run(["ip", "-n", name(place), "addr", "add", `${address}/24`, "dev", device]);
      await run(["ip", "-n", name(place), "link", "set", device, "up"]);
    }
  }

  async function nft(place: Place, rules: string): Promise<void> {
    await run(inside(place, ["nft", "-f", "-"]), { input: rules });
  }

  try {
    for (const place of PLACES) {
      await run(["ip", "netns", "add", name(place)]);
      await run(["ip", "-n", name(place), "link", "set", "lo", "up"]);
      for (const setting of SYSCTLS) await run(inside(place, ["sysctl", "-qw", setting]));
    }
    await link("visitor", "visitor0", ADDRESS.visitor, "relay", ROUTER_LINK.wan, ADDRESS.relay);
    await link("relay", ROUTER_LINK.lan, RELAY_INNER, "agent", AGENT_LINK, ADDRESS.agent);
    await run(["ip", "-n", name("agent"), "route", "add", ADDRESS.relay, "via", RELAY_INNER]);
  } catch (error) {
    await remove();
    throw error;
  }

  return {
    inside,
    async processIds(place) {
      const text = await run(["ip", "netns", "pids", name(place)]);
      return text.split("\n").filter(Boolean).map(Number);
    },
    async resetAgentLink() {
      await run(inside("agent", ["ss", "-K", "-t", "dst", ADDRESS.relay]));
    },
    async silenceAgentLink() {
      const chain = (hook: string, direction: string) => [
        `chain ${hook} {`,
        `type filter hook ${hook} priority 0`,
        `${direction} "${AGENT_LINK}" drop`,
        "}",
      ];
      const rules = ["table inet silence {", ...chain("input", "iifname"), ...chain("output", "oifname"), "}"];
      await nft("agent", rules.join("\n"));
      return () => nft("agent", "delete table inet silence");
    },
    async openRouter(hosts) {
      const addresses = hosts.map((host) => `addr replace ${host}/24 dev ${AGENT_LINK}\n`).join("");
      await run(["ip", "-n", name("agent"), "-batch", "-"], { input: addresses });
      await run(["ip", "-n", name("agent"), "route", "replace", "default", "via", RELAY_INNER]);
      await run(["ip", "-n", name("visitor"), "route", "replace", LAN, "via", ADDRESS.relay]);
      await run(inside("relay", ["sysctl", "-qw", "net.ipv4.ip_forward=1"]));
      // A new link has its carrier a moment after it is up, and programs on it look when they start.
      for (const link of Object.values(ROUTER_LINK)) {
        while (!(await run(["ip", "-n", name("relay"), "link", "show", link])).includes("state UP"))
          await Bun.sleep(POLL_MS);
      }
    },
    async closeRouter() {
      await run(inside("relay", ["sysctl", "-qw", "net.ipv4.ip_forward=0"]));
      await nft("relay", "flush ruleset");
      // It says that it deleted everything on its standard error, and ends with 0.
      await run(inside("relay", ["conntrack", "-F"]));
    },
    remove,
  };
}
