import { run } from "./commands.ts";

/** Where a program runs. */
export type Place = "visitor" | "relay" | "agent";
const PLACES: readonly Place[] = ["visitor", "relay", "agent"];

/**
 * The addresses inside the namespaces. Nothing outside sees them: the only links are the two veth pairs, and the relay
 * does not route, so visitor and agent reach each other through a forward or not at all.
 */
export const ADDRESS = {
  visitor: "10.203.1.2",
  /** Where visitors and agents reach the relay. */
  relay: "10.203.1.1",
  agent: "10.203.2.2",
} as const;
const RELAY_INNER = "10.203.2.1";
const AGENT_LINK = "inner0";

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
    await link("visitor", "visitor0", ADDRESS.visitor, "relay", "public0", ADDRESS.relay);
    await link("relay", "relay0", RELAY_INNER, "agent", AGENT_LINK, ADDRESS.agent);
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
    remove,
  };
}
