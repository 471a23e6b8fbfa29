import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, run } from "../lab/commands.ts";
import { ADDRESS } from "../lab/namespaces.ts";
import { startSsh } from "./openssh.ts";
import { askVersion, type RemotePeer } from "./peer.ts";

const PROGRAM = join(ROOT, "bin/hatchway");
const PORT = 2_222;
const KEY = "laptop";

/** The relay's SSH server, with OpenSSH's client in the place of an agent. */
export const hatchwaySsh: RemotePeer = {
  name: "Hatchway by ssh",
  type: "remote",
  encryption: "SSH, AES-128-GCM",
  protocols: ["tcp"],
  version: () => askVersion(PROGRAM, ["--version"], /(\d+\.\d+\.\d+)/),

  async startRelay(site) {
    const data = join(site.directory, "relay");
    await mkdir(data, { recursive: true });
    const config = join(site.directory, "hatchway.toml");
    await Bun.write(config, `[ssh]\nlisten = "*:${PORT}"\n`);
    const where = ["--public", ADDRESS.relay, "--ports", "20000-29999", "--data", data, "--config", config];
    const relay = await site.start("relay", [PROGRAM, "serve", ...where, "--json"]);
    await relay.printed('"event":"ready"');
    const key = join(site.directory, KEY);
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
    await run(
      site.namespaces.inside("relay", [PROGRAM, "ssh-key", "add", `${key}.pub`, "--name", KEY, "--data", data]),
    );
  },

  startAgent: (site, forwards) => startSsh(site, { port: PORT, user: KEY, key: KEY, bind: "" }, forwards),
};
