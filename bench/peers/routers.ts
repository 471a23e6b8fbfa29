import { join } from "node:path";
import { MAPPING_SERVER_PORT } from "../../src/wire/natpmp.ts";
import { run } from "../lab/commands.ts";
import { ADDRESS, ROUTER_LINK } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { clientAddress, wanted } from "../mapping/plan.ts";
import { haproxy, socat } from "./local-proxies.ts";
import { askVersion, type DirectPeer, type Forward, type GatewayPeer } from "./peer.ts";

export const relayPort = ({ entryPort }: Forward) => [ADDRESS.relay, entryPort] as const;

const onRouter = (proxy: DirectPeer): GatewayPeer => ({
  ...proxy,
  type: "gateway",
  target: relayPort,
  startWithMappings: null,
});

export const haproxyOnRouter = onRouter(haproxy);
export const socatOnRouter = onRouter(socat);

/** The kernel forwards between the links, without a rule, NAT or connection tracking: nothing on this path is faster. */
export const routing: GatewayPeer = {
  name: "bare routing",
  type: "gateway",
  encryption: null,
  protocols: ["tcp"],
  target: ({ servicePort }) => [ADDRESS.agent, servicePort],
  version: () => askVersion("uname", ["-r"], /^(\S+)/),
  startRelay: async () => {},
  startWithMappings: null,
};

/** miniupnpd takes no external address that is not a public one, and what it is told here is only ever told on. */
const PUBLIC_ADDRESS = "9.9.9.9";
const START_LIMIT_MS = 60_000;
const POLL_MS = 20;
/** Below what is mapped, and below the ports that connections of before go out by. */
const HTTP_PORT = 10_000;
const CHAIN = { forward: "miniupnpd", dnat: "prerouting_miniupnpd", snat: "postrouting_miniupnpd" } as const;

interface Redirect {
  readonly externalPort: number;
  readonly to: string;
  readonly internalPort: number;
}

/**
 * The chains that its manual asks for around its own, and in these the rules that it writes itself for such mappings
 * (it reads what is there when it starts): asking it for 20,000 takes more than an hour.
 */
function rulesetOf(redirects: readonly Redirect[]): string {
  const link = `iif "${ROUTER_LINK.wan}"`;
  const own = redirects.flatMap(({ externalPort, to, internalPort }) => [
    `add rule inet filter ${CHAIN.dnat} ${link} meta l4proto tcp @nh,72,8 0x6 th dport ${externalPort} dnat ip to ${to}:${internalPort}`,
    `add rule inet filter ${CHAIN.forward} ${link} th dport ${internalPort} ip daddr ${to} @nh,72,8 0x6 accept`,
  ]);
  return `table inet filter {
    chain ${CHAIN.forward} { }
    chain ${CHAIN.dnat} { }
    chain ${CHAIN.snat} { }
    chain forward {
      type filter hook forward priority filter; policy drop;
      ct state established,related accept
      iifname "${ROUTER_LINK.lan}" accept
      jump ${CHAIN.forward}
    }
    chain prerouting { type nat hook prerouting priority dstnat; jump ${CHAIN.dnat}; }
    chain postrouting {
      type nat hook postrouting priority srcnat;
      jump ${CHAIN.snat}
      iifname "${ROUTER_LINK.lan}" oifname "${ROUTER_LINK.wan}" masquerade
    }
  }
  ${own.join("\n")}
`;
}

const SETTINGS = `ext_ifname=${ROUTER_LINK.wan}
ext_ip=${PUBLIC_ADDRESS}
listening_ip=${ROUTER_LINK.lan}
http_port=${HTTP_PORT}
enable_upnp=yes
enable_natpmp=yes
secure_mode=yes
system_uptime=yes
uuid=00000000-0000-0000-0000-000000000001
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=${CHAIN.forward}
upnp_nat_chain=${CHAIN.dnat}
upnp_nat_postrouting_chain=${CHAIN.snat}
allow 1024-65535 ${ADDRESS.agent}/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`;

async function startMiniupnpd(site: Site, redirects: readonly Redirect[]): Promise<void> {
  await run(site.namespaces.inside("relay", ["nft", "-f", "-"]), { input: rulesetOf(redirects) });
  const settings = join(site.directory, "miniupnpd.conf");
  await Bun.write(settings, SETTINGS);
  // In the foreground it prints each step; so it goes to the background, as on a router.
  const command = ["miniupnpd", "-f", settings, "-P", join(site.directory, "miniupnpd.pid")];
  await run(site.namespaces.inside("relay", command));
  // It is in the background before it listens.
  const listens = site.namespaces.inside("relay", ["ss", "-Hlun", `sport = :${MAPPING_SERVER_PORT}`]);
  const deadline = Date.now() + START_LIMIT_MS;
  while ((await run(listens)) === "") {
    if (Date.now() > deadline) throw new Error(`miniupnpd did not listen within ${START_LIMIT_MS} ms`);
    await Bun.sleep(POLL_MS);
  }
}

export const miniupnpd: GatewayPeer = {
  name: "miniupnpd",
  type: "gateway",
  encryption: null,
  protocols: ["tcp", "natpmp"],
  target: relayPort,
  version: () => askVersion("miniupnpd", ["--version"], /miniupnpd (\S+)/),
  startRelay: (site, forwards) =>
    startMiniupnpd(
      site,
      forwards.map(({ entryPort, servicePort }) => ({
        externalPort: entryPort,
        to: ADDRESS.agent,
        internalPort: servicePort,
      })),
    ),
  startWithMappings: (site, _lan, count) =>
    startMiniupnpd(
      site,
      Array.from({ length: count }, (_, number) => {
        const { client, internalPort, externalPort } = wanted(number);
        return { externalPort, to: clientAddress(client), internalPort };
      }),
    ),
};
