import { ADDRESS } from "../lab/namespaces.ts";
import { askVersion, type RemotePeer } from "./peer.ts";

/** bore's fixed control port. */
const PORT = 7835;
const SECRET = { BORE_SECRET: "bench-token" };

/** bore ends when its connection does: this loop is what people put around it. */
const RESTART_LOOP = 'while :; do bore "$@"; sleep 1; done';

/** Without encryption: shown for comparison, not ranked. One agent process per port. */
export const bore: RemotePeer = {
  name: "bore",
  type: "remote",
  encryption: null,
  protocols: ["tcp"],
  version: () => askVersion("bore", ["--version"], /(\d+\.\d+\.\d+)/),

  async startRelay(site) {
    const relay = await site.start("relay", ["bore", "server", "--min-port", "20000"], { environment: SECRET });
    await relay.listening(PORT);
  },

  async startAgent(site, forwards) {
    for (const { entryPort, servicePort } of forwards) {
      const command = [
        "sh",
        "-c",
        RESTART_LOOP,
        "sh",
        "local",
        `${servicePort}`,
        "--to",
        ADDRESS.relay,
        "--port",
        `${entryPort}`,
      ];
      await site.start("agent", command, { environment: SECRET });
    }
  },
};
