import { join } from "node:path";
import { RELAY_NAME } from "../lab/certificates.ts";
import { ADDRESS } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { askVersion, type DirectPeer, type Forward, type RemotePeer } from "./peer.ts";

const PORT = 7400;
const version = () => askVersion("gost", ["--version"], /v(\d+\.\d+\.\d+)/);

/** gost reads YAML, and so JSON. */
async function write(
  site: Site,
  name: string,
  services: readonly object[],
  chains: readonly object[] = [],
): Promise<string> {
  const file = join(site.directory, name);
  await Bun.write(file, JSON.stringify({ log: { level: "error" }, services, chains }));
  return file;
}

/** Otherwise its UDP flows end with the first answer. */
const keepFlows = { metadata: { keepAlive: true } };

const service = (forward: Forward, type: string, listener: object, host: string) => ({
  name: forward.name,
  addr: `0.0.0.0:${forward.entryPort}`,
  handler: { type },
  listener,
  forwarder: { nodes: [{ name: forward.name, addr: `${host}:${forward.servicePort}` }] },
});

/** Reverse forwarding by gost's relay protocol inside TLS. */
export const gost: RemotePeer = {
  name: "gost",
  type: "remote",
  encryption: "TLS",
  protocols: ["tcp", "udp"],
  version,

  async startRelay(site) {
    const { certificate, key } = site.certificates;
    const relayService = {
      name: "relay",
      addr: `:${PORT}`,
      handler: { type: "relay", metadata: { bind: true } },
      listener: { type: "tls", tls: { certFile: certificate, keyFile: key } },
    };
    const relay = await site.start("relay", ["gost", await write(site, "relay.json", [relayService])]);
    await relay.listening(PORT);
  },

  async startAgent(site, forwards) {
    const tls = { caFile: site.certificates.authority, secure: true, serverName: RELAY_NAME };
    const node = {
      name: "relay",
      addr: `${ADDRESS.relay}:${PORT}`,
      connector: { type: "relay" },
      dialer: { type: "tls", tls },
    };
    const services = forwards.map((forward) => {
      const type = forward.protocol === "udp" ? "rudp" : "rtcp";
      return service(forward, type, { type, chain: "out", ...keepFlows }, "127.0.0.1");
    });
    const chain = { name: "out", hops: [{ name: "relay", nodes: [node] }] };
    await site.start("agent", ["gost", await write(site, "agent.json", services, [chain])]);
  },
};

export const gostDirect: DirectPeer = {
  name: "gost",
  type: "direct",
  encryption: null,
  protocols: ["tcp", "udp"],
  version,
  async startRelay(site, forwards) {
    const services = forwards.map((forward) =>
      service(forward, forward.protocol, { type: forward.protocol, ...keepFlows }, ADDRESS.agent),
    );
    await site.start("relay", ["gost", await write(site, "direct.json", services)]);
  },
};
