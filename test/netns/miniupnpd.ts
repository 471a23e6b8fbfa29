import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import type { Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";
import { listening } from "./ready.ts";

/**
 * Debian's miniupnpd as the NAT box of a lab made without rules: it serves both inside networks. The lab's outside is a
 * documentation network, which it takes for no address to map on, so it is told another, and only tells that on.
 */
export const MINIUPNPD_EXTERNAL = "9.9.9.9";
const SSDP_PORT = 1900;
const CHAIN = { forward: "miniupnpd", dnat: "prerouting_miniupnpd", snat: "postrouting_miniupnpd" } as const;
/** The chains that its manual asks for around its own. */
const RULES = `table inet filter {
  chain ${CHAIN.forward} { }
  chain ${CHAIN.dnat} { }
  chain ${CHAIN.snat} { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname { "lan1", "lan2" } accept
    jump ${CHAIN.forward}
  }
  chain prerouting { type nat hook prerouting priority dstnat; jump ${CHAIN.dnat}; }
  chain postrouting { type nat hook postrouting priority srcnat; jump ${CHAIN.snat}; oifname "wan" masquerade; }
}
`;

/** Lines of its configuration, over those here. */
export type MiniupnpdSettings = Readonly<Record<string, string>>;

function configuration(settings: MiniupnpdSettings): string {
  const values: Record<string, string> = {
    ext_ifname: "wan",
    ext_ip: MINIUPNPD_EXTERNAL,
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
    "listening_ip=lan1",
    "listening_ip=lan2",
    ...Object.entries(values).map((pair) => pair.join("=")),
    "allow 1024-65535 192.168.0.0/16 1024-65535",
    "deny 0-65535 0.0.0.0/0 0-65535",
    "",
  ].join("\n");
}

/** Loads the rules that it works in; once for a lab. */
export function prepareMiniupnpd(lab: Lab): void {
  tool(["ip", "netns", "exec", lab.nat.namespace, "nft", "-f", "-"], RULES);
}

/** Serves when this resolves. In the foreground, where it tells each step. */
export async function startMiniupnpd(lab: Lab, settings: MiniupnpdSettings = {}): Promise<Child> {
  const directory = mkdtempSync(join(lab.directory, "miniupnpd-"));
  const file = join(directory, "miniupnpd.conf");
  writeFileSync(file, configuration(settings));
  const child = lab.spawn(lab.nat, ["miniupnpd", "-d", "-f", file, "-P", join(directory, "pid")]);
  await listening(child, "udp", SSDP_PORT);
  return child;
}
