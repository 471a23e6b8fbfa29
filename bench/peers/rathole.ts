import { join } from "node:path";
import { RELAY_NAME } from "../lab/certificates.ts";
import { run } from "../lab/commands.ts";
import { ADDRESS } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { askVersion, type Forward, type RemotePeer } from "./peer.ts";

const PORT = 7100;
const TOKEN = "bench-token";
/** rathole's own log would cost it time. */
const QUIET = { environment: { RUST_LOG: "error" } };

type Side = "server" | "client";
type Transport = (site: Site) => Promise<Record<Side, string>>;

const tls: Transport = async ({ certificates }) => ({
  server: `type = "tls"\n[server.transport.tls]\npkcs12 = "${certificates.bundle}"\npkcs12_password = "${certificates.bundlePassword}"`,
  client: `type = "tls"\n[client.transport.tls]\ntrusted_root = "${certificates.authority}"\nhostname = "${RELAY_NAME}"`,
});

const noise: Transport = async () => {
  const keys = await run(["rathole", "--genkey"]);
  const [privateKey, publicKey] = keys.split("\n").filter((line) => /^[A-Za-z0-9+/]{43}=$/.test(line.trim()));
  return {
    server: `type = "noise"\n[server.transport.noise]\nlocal_private_key = "${privateKey}"`,
    client: `type = "noise"\n[client.transport.noise]\nremote_public_key = "${publicKey}"`,
  };
};

function configuration(side: Side, transport: string, forwards: readonly Forward[]): string {
  const where = side === "server" ? `bind_addr = "0.0.0.0:${PORT}"` : `remote_addr = "${ADDRESS.relay}:${PORT}"`;
  const services = forwards.map((forward) => {
    const end =
      side === "server"
        ? `bind_addr = "0.0.0.0:${forward.entryPort}"`
        : `local_addr = "127.0.0.1:${forward.servicePort}"`;
    return `[${side}.services.${forward.name}]\ntype = "${forward.protocol}"\n${end}`;
  });
  return [`[${side}]\n${where}\ndefault_token = "${TOKEN}"`, `[${side}.transport]\n${transport}`, ...services].join(
    "\n\n",
  );
}

function rathole(name: string, encryption: string, transport: Transport): RemotePeer {
  const file = (site: Site, side: Side) => join(site.directory, `${side}.toml`);
  return {
    name,
    type: "remote",
    encryption,
    protocols: ["tcp", "udp"],
    version: () => askVersion("rathole", ["--version"], /(\d+\.\d+\.\d+)/),

    async startRelay(site, forwards) {
      const settings = await transport(site);
      await Bun.write(file(site, "server"), configuration("server", settings.server, forwards));
      await Bun.write(file(site, "client"), configuration("client", settings.client, forwards));
      const relay = await site.start("relay", ["rathole", "--server", file(site, "server")], QUIET);
      await relay.listening(PORT);
    },

    async startAgent(site) {
      await site.start("agent", ["rathole", "--client", file(site, "client")], QUIET);
    },
  };
}

export const ratholeTls = rathole("rathole TLS", "TLS", tls);
export const ratholeNoise = rathole("rathole noise", "Noise NK, ChaCha20-Poly1305", noise);
