import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MAPPING_SERVER_PORT } from "../../src/wire/natpmp.ts";
import type { Child } from "./child.ts";
import type { Host, Lab, Machines } from "./lab.ts";
import { tool } from "./namespaces.ts";
import { listening } from "./ready.ts";

/** Debian's miniupnpd on a router without rules of its own. */
export interface MiniupnpdPlace {
  readonly host: Host;
  readonly wan: string;
  readonly lans: readonly string[];
  /** What it tells of its address outside; null = that of `wan`. It opens nothing on a private one, and says so. */
  readonly external: string | null;
}

export const MINIUPNPD_EXTERNAL = "9.9.9.9";

/** The NAT box of a lab made without rules. Its outside is a documentation network, so it is told another address. */
export function natBox(lab: Lab): MiniupnpdPlace {
  return { host: lab.nat, wan: "wan", lans: ["lan1", "lan2"], external: MINIUPNPD_EXTERNAL };
}

const SSDP_PORT = 1900;
const CHAIN = { forward: "miniupnpd", dnat: "prerouting_miniupnpd", snat: "postrouting_miniupnpd" } as const;
/** The chains that its manual asks for around its own. */
const rulesOf = ({ wan, lans }: MiniupnpdPlace): string => `table inet filter {
  chain ${CHAIN.forward} { }
  chain ${CHAIN.dnat} { }
  chain ${CHAIN.snat} { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname { ${lans.map((lan) => `"${lan}"`).join(", ")} } accept
    jump ${CHAIN.forward}
  }
  chain prerouting { type nat hook prerouting priority dstnat; jump ${CHAIN.dnat}; }
  chain postrouting { type nat hook postrouting priority srcnat; jump ${CHAIN.snat}; meta nfproto ipv4 oifname "${wan}" masquerade; }
}
`;

/** Lines of its configuration, over those here. */
export type MiniupnpdSettings = Readonly<Record<string, string>>;

function configuration({ wan, lans, external }: MiniupnpdPlace, settings: MiniupnpdSettings): string {
  const values: Record<string, string> = {
    ext_ifname: wan,
    ...(external === null ? {} : { ext_ip: external }),
    // Any: it has another one after each start.
    http_port: "0",
    enable_upnp: "yes",
    enable_natpmp: "no",
    secure_mode: "yes",
    // Its own uptime, not the machine's, which outlives it.
    system_uptime: "no",
    uuid: "00000000-0000-0000-0000-000000000001",
    upnp_table_name: "filter",
    upnp_nat_table_name: "filter",
    upnp_forward_chain: CHAIN.forward,
    upnp_nat_chain: CHAIN.dnat,
    upnp_nat_postrouting_chain: CHAIN.snat,
    ...settings,
  };
  return [
    ...lans.map((lan) => `listening_ip=${lan}`),
    ...Object.entries(values).map((pair) => pair.join("=")),
    "allow 1024-65535 192.168.0.0/16 1024-65535",
    "deny 0-65535 0.0.0.0/0 0-65535",
    "",
  ].join("\n");
}

/** Loads the rules that it works in; once for a lab. */
export function prepareMiniupnpd(place: MiniupnpdPlace): void {
  tool(["ip", "netns", "exec", place.host.namespace, "nft", "-f", "-"], rulesOf(place));
}

/** Serves when this resolves. In the foreground, where it tells each step. */
export async function startMiniupnpd(
  lab: Machines,
  place: MiniupnpdPlace,
  settings: MiniupnpdSettings = {},
): Promise<Child> {
  const directory = mkdtempSync(join(lab.directory, "miniupnpd-"));
  const file = join(directory, "miniupnpd.conf");
  writeFileSync(file, configuration(place, settings));
  const child = lab.spawn(place.host, ["miniupnpd", "-d", "-f", file, "-P", join(directory, "pid")]);
  const isUpnp = settings["enable_upnp"] !== "no";
  await listening(child, "udp", isUpnp ? SSDP_PORT : MAPPING_SERVER_PORT);
  return child;
}
