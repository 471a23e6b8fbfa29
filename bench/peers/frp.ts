import { join } from "node:path";
import { RELAY_NAME } from "../lab/certificates.ts";
import { ADDRESS } from "../lab/namespaces.ts";
import { askVersion, type RemotePeer } from "./peer.ts";

const PORT = 7200;
const SHARED = ['auth.token = "bench-token"', 'log.level = "error"'];

/** As it comes: TCP multiplexing on, no pool. */
export const frp: RemotePeer = {
  name: "frp",
  type: "remote",
  encryption: "TLS",
  protocols: ["tcp", "udp"],
  version: () => askVersion("frps", ["--version"], /(\d+\.\d+\.\d+)/),

  async startRelay(site) {
    const settings = [
      `bindPort = ${PORT}`,
      ...SHARED,
      "transport.tls.force = true",
      `transport.tls.certFile = "${site.certificates.certificate}"`,
      `transport.tls.keyFile = "${site.certificates.key}"`,
    ];
    const file = join(site.directory, "frps.toml");
    await Bun.write(file, settings.join("\n"));
    const relay = await site.start("relay", ["frps", "-c", file]);
    await relay.listening(PORT);
  },

  async startAgent(site, forwards) {
    const settings = [
      `serverAddr = "${ADDRESS.relay}"`,
      `serverPort = ${PORT}`,
      ...SHARED,
      `transport.tls.trustedCaFile = "${site.certificates.authority}"`,
      `transport.tls.serverName = "${RELAY_NAME}"`,
      ...forwards.map(
        ({ name, protocol, entryPort, servicePort }) =>
          `\n[[proxies]]\nname = "${name}"\ntype = "${protocol}"\nlocalIP = "127.0.0.1"\nlocalPort = ${servicePort}\nremotePort = ${entryPort}`,
      ),
    ];
    const file = join(site.directory, "frpc.toml");
    await Bun.write(file, settings.join("\n"));
    await site.start("agent", ["frpc", "-c", file]);
  },
};
