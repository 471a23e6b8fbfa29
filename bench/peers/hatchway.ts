import { existsSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, run } from "../lab/commands.ts";
import { ADDRESS, ROUTER_LINK } from "../lab/namespaces.ts";
import type { Program } from "../lab/program.ts";
import type { Site } from "../lab/site.ts";
import { askAll } from "../mapping/lan.ts";
import { askVersion, type DirectPeer, type Forward, type GatewayPeer, type RemotePeer } from "./peer.ts";
import { relayPort } from "./routers.ts";

const PROGRAM = join(ROOT, "bin/hatchway");
const PORT = 7744;
const version = () => askVersion(PROGRAM, ["--version"], /(\d+\.\d+\.\d+)/);

const relayData = (site: Site) => join(site.directory, "relay");

/** One `[[expose]]` a forward: what a person writes, and so a thousand forwards are a thousand objects. */
function agentSettings(forwards: readonly Forward[]): string {
  return forwards
    .map(
      ({ protocol, entryPort, servicePort }) =>
        `[[expose]]\nports = "${entryPort}:${servicePort}"\nprotocol = "${protocol}"\n`,
    )
    .join("\n");
}

/** Enrols a new device and starts its agent; a second start of the same name uses what the first enrolled. */
export async function startNamedAgent(site: Site, name: string, forwards: readonly Forward[]): Promise<void> {
  const data = join(site.directory, name);
  const settings = join(data, "hatchway.toml");
  const common = ["--data", data, "--config", settings, "--json"];
  if (existsSync(settings)) {
    await site.start("agent", [PROGRAM, "agent", ...common]);
    return;
  }
  const create = [PROGRAM, "join-code", "create", "--name", name, "--data", relayData(site)];
  const code = (await run(site.namespaces.inside("relay", create))).trim();
  await mkdir(data, { recursive: true });
  await Bun.write(settings, agentSettings(forwards));
  await site.start("agent", [PROGRAM, "agent", "--join", code, ...common]);
}

export const hatchway: RemotePeer = {
  name: "Hatchway",
  type: "remote",
  encryption: "TLS 1.3",
  protocols: ["tcp", "udp"],
  version,

  async startRelay(site) {
    const where = ["--listen", `0.0.0.0:${PORT}`, "--public", ADDRESS.relay, "--ports", "20000-29999"];
    const relay = await site.start("relay", [PROGRAM, "serve", ...where, "--data", relayData(site), "--json"]);
    await relay.printed('"event":"ready"');
  },

  startAgent: (site, forwards) => startNamedAgent(site, "agent", forwards),
};

export const hatchwayDirect: DirectPeer = {
  name: "Hatchway",
  type: "direct",
  encryption: null,
  protocols: ["tcp", "udp"],
  version,
  async startRelay(site, forwards) {
    for (const { protocol, entryPort, servicePort } of forwards) {
      const where = [`0.0.0.0:${entryPort}`, `${ADDRESS.agent}:${servicePort}`, "--protocol", protocol];
      await site.start("relay", [PROGRAM, "direct", ...where]);
    }
  },
};

/** One visitor of the bench is as many as a busy service has; the limits stay, so that the rules behind them count. */
const GATEWAY_SETTINGS = `[gateway]
connections-per-source = 100_000
new-per-source = 1_000_000
[upnp]
http-port = 10_000
max-mappings = 1_000
`;
/** What a LAN of 200 hosts may have on its way. */
const ASK_AT_ONCE = 200;
const FILL_LIMIT_MS = 90_000;

const gatewayData = (site: Site) => join(site.directory, "gateway");

/** A second start in the same site finds the mappings of the first. */
export async function startGateway(site: Site, forwards: readonly Forward[]): Promise<Program> {
  const data = gatewayData(site);
  await mkdir(data, { recursive: true });
  // It gives up root, and reads this as an ordinary user.
  await chmod(data, 0o755);
  const settings = join(data, "hatchway.toml");
  const mappings = forwards.map(
    ({ protocol, entryPort, servicePort }) =>
      `[[mapping]]\nports = "${entryPort}:${servicePort}"\nprotocol = "${protocol}"\nto = "${ADDRESS.agent}"\n`,
  );
  await Bun.write(settings, [GATEWAY_SETTINGS, ...mappings].join("\n"));
  const links = ["--wan", ROUTER_LINK.wan, "--lan", ROUTER_LINK.lan];
  const where = ["--data", join(data, "data"), "--config", settings, "--json"];
  const gateway = await site.start("relay", [PROGRAM, "gateway", ...links, ...where]);
  await gateway.printed('"event":"ready"');
  return gateway;
}

/** What `hatchway forward ls` writes into a file, asked on the router. */
export async function listForwards(site: Site): Promise<string> {
  const file = join(site.directory, "forwards.json");
  const command = [PROGRAM, "forward", "ls", "--json", "--data", join(gatewayData(site), "data")];
  await run(site.namespaces.inside("relay", ["sh", "-c", 'exec "$@" > "$0"', file, ...command]));
  return await Bun.file(file).text();
}

export const hatchwayGateway: GatewayPeer = {
  name: "Hatchway",
  type: "gateway",
  encryption: null,
  protocols: ["tcp", "natpmp"],
  target: relayPort,
  version,
  async startRelay(site, forwards) {
    await startGateway(site, forwards);
  },
  async startWithMappings(site, lan, count) {
    await startGateway(site, []);
    await askAll(lan, { first: 0, count, atOnce: ASK_AT_ONCE, giveUpMs: FILL_LIMIT_MS, resend: true });
  },
};
