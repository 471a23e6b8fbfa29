import { join } from "node:path";
import { run } from "../lab/commands.ts";
import { ADDRESS } from "../lab/namespaces.ts";
import { askVersion, type RemotePeer } from "./peer.ts";

const PORT = 7300;
const AUTHENTICATION = { AUTH: "bench:bench-token" };

/** SSH inside a WebSocket; no TLS around it, since the SSH inside is what protects it. */
export const chisel: RemotePeer = {
  name: "chisel",
  type: "remote",
  encryption: "SSH in WebSocket",
  protocols: ["tcp", "udp"],
  version: () => askVersion("chisel", ["--version"], /(\d+\.\d+\.\d+)/),

  async startRelay(site) {
    const key = join(site.directory, "chisel.key");
    await run(["chisel", "server", "--keygen", key]);
    const listen = ["--host", "0.0.0.0", "--port", `${PORT}`];
    const relay = await site.start("relay", ["chisel", "server", ...listen, "--reverse", "--keyfile", key], {
      environment: AUTHENTICATION,
    });
    await relay.listening(PORT);
    const line = await relay.printed("Fingerprint");
    await Bun.write(join(site.directory, "fingerprint"), line.split("Fingerprint").at(-1)?.trim() ?? "");
  },

  async startAgent(site, forwards) {
    const fingerprint = await Bun.file(join(site.directory, "fingerprint")).text();
    const remotes = forwards.map(
      ({ protocol, entryPort, servicePort }) =>
        `R:0.0.0.0:${entryPort}:127.0.0.1:${servicePort}${protocol === "udp" ? "/udp" : ""}`,
    );
    const server = `http://${ADDRESS.relay}:${PORT}`;
    await site.start("agent", ["chisel", "client", "--fingerprint", fingerprint, server, ...remotes], {
      environment: AUTHENTICATION,
    });
  },
};
