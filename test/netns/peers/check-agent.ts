/**
 * An agent whose router says what a test wants: `bun check-agent.ts DATA JOIN_CODE PORT ROUTER_JSON`. Joins, checks the
 * TCP port of its own address, says `{"event":"report", …}` and ends.
 */
import { startAgent } from "../../../src/roles/agent.ts";
import { say } from "./bytes.ts";

const [dataDir = "", joinCode = "", port = "", router = "null"] = process.argv.slice(2);
const agent = await startAgent({
  dataDir,
  joinCode,
  readSettings: async () => ({
    name: null,
    relay: null,
    allow: [],
    managed: null,
    certificate: null,
    ca: null,
    forwards: [],
  }),
  runListed: true,
  routerEvidence: async () => JSON.parse(router),
});
const target = { kind: "port", host: null, port: Number(port), protocol: "tcp" } as const;
say({ event: "report", ...(await agent.check({ target, payload: null, service: null })) });
await agent.stop({ drainMs: 0 });
