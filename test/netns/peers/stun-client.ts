/**
 * Our STUN client: `bun stun-client.ts mapped|behaviour HOST PORT [RTO-MS]`; one JSON line at the end,
 * `{ event: "done", found, tookMs }`, `found` being what the client resolves with.
 */
import { STUN_TIMING } from "../../../src/core/stun/exchange.ts";
import { discoverBehaviour, discoverMapped } from "../../../src/router/stun.ts";
import { say } from "./bytes.ts";

const [goal, host = "", port = "", rtoMs = String(STUN_TIMING.rtoMs)] = process.argv.slice(2);
const query = {
  server: { host, port: Number(port) },
  signal: new AbortController().signal,
  timing: { ...STUN_TIMING, rtoMs: Number(rtoMs) },
};
const startedMs = performance.now();
const found = await (goal === "mapped" ? discoverMapped(query) : discoverBehaviour(query));
say({ event: "done", found, tookMs: performance.now() - startedMs });
