import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, run } from "../lab/commands.ts";
import { ADDRESS } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { askVersion, type DirectPeer, type Forward, type RemotePeer } from "./peer.ts";

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
