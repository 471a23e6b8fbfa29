import { existsSync } from "node:fs";
import { join } from "node:path";
import { nodeProgram } from "../../test/library/node.ts";
import { ROOT, run } from "../lab/commands.ts";
import { hatchway } from "./hatchway.ts";
import type { RemotePeer } from "./peer.ts";

const PROGRAM = join(ROOT, "bin/hatchway");
const APP = join(import.meta.dir, "library-app.mjs");
const LIBRARY = join(ROOT, "dist/hatchway.mjs");

/** An app with the library in the place of the agent. */
function libraryPeer(runtime: "Node" | "Bun", way: "led" | "piped"): RemotePeer {
  return {
    ...hatchway,
    name: `library on ${runtime}, ${way}`,
    async startAgent(site, forwards) {
      const key = join(site.directory, "relay.key");
      const create = [PROGRAM, "join-code", "create", "--name", "app", "--data", join(site.directory, "relay")];
      const code = existsSync(key) ? "" : (await run(site.namespaces.inside("relay", create))).trim();
      const program = runtime === "Node" ? [nodeProgram()] : [process.execPath, "--no-env-file", "--config=/dev/null"];
      const app = await site.start("agent", [...program, APP, LIBRARY, key, code, way, JSON.stringify(forwards)]);
      await app.printed("ready");
    },
  };
}

export const libraryPeers = [
  libraryPeer("Node", "led"),
  libraryPeer("Bun", "led"),
  libraryPeer("Node", "piped"),
  libraryPeer("Bun", "piped"),
];
