import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { askNatPmp, gatewayOf } from "./asking.ts";
import type { Child } from "./child.ts";
import { type GatewaySite, startGateway } from "./gateway-kit.ts";
import { query } from "./hatchway.ts";
import { startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { residentBytes } from "./ready.ts";

setDefaultTimeout(30_000);

/** One neighbour, outside or inside, sends as fast as it can: the others go on as before. */
const SYNS = 60_000;
const DATAGRAMS = 40_000;
/** Below the 100 a second and the 200 at once that one source may by default. */
const HONEST = 150;
/** What a gateway grows by with its tables full; a queue of what comes would be many times that. */
const GROWTH_BYTES = 64 * 1024 * 1024;
/** 0.7 s with both on an idle machine; this one may be busy with other tests. */
const STATUS_MS = 15_000;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
let lab: Lab;
let site: GatewaySite;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  await startService(lab, lab.agent, "--host", "0.0.0.0", "peer:tcp:8000");
  site = await startGateway(
    lab,
    '[[mapping]]\nname = "web"\nports = 8000\nto = "192.168.77.2"\nprotocol = "tcp+udp"\n',
  );
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

async function flood(host: Host, ...args: readonly (string | number)[]): Promise<Child> {
  const child = lab.spawn(host, [...BUN, join(import.meta.dir, "peers/flood.ts"), ...args.map(String)]);
  await child.event("begun");
  return child;
}
const status = async () =>
  (await query<{ gateway: { pid: number; dropped: Record<string, number> } }>(lab, site.home, "status")).gateway;

describe("a SYN flood of one source on a forwarded port", () => {
  test("is dropped and counted; visitors of another source connect as before", async () => {
    // It never follows up: its own kernel would reset what it did not ask for, and end the half-open connections.
    const silent =
      "add table inet silent; add chain inet silent input { type filter hook input priority 0; tcp flags syn,ack / syn,ack drop; }";
    expect((await lab.exec(lab.relay, ["nft", silent])).exitCode).toBe(0);
    const before = await status();
    const flooder = await flood(lab.relay, "syn", lab.relay.v4, lab.nat.v4, 8000, SYNS);
    // One after the other, each with a second: what an honest visitor's own first retry would need.
    const script = `ok=0; for i in $(seq ${HONEST}); do [ -n "$(socat -T 1 -u TCP4:${lab.nat.v4}:8000,connect-timeout=1 - 2>/dev/null)" ] && ok=$((ok+1)); done; echo $ok`;
    const honest = await lab.exec(lab.visitor, ["sh", "-c", script], { timeoutMs: 60_000 });
    expect(Number(honest.stdout)).toBeGreaterThanOrEqual(HONEST * 0.99);
    expect(await flooder.event("done", { deadlineMs: 60_000 })).toMatchObject({ sent: SYNS });
    const { dropped } = await status();
    const more = (reason: string) => (dropped[reason] ?? 0) - (before.dropped[reason] ?? 0);
    expect(more("rateLimit") + more("connectionLimit")).toBeGreaterThan(SYNS / 2);
  }, 90_000);
});

describe("a UDP flood from inside", () => {
  test.each([5351, 1900])(
    "on port %i: the gateway answers others and its operator, and does not grow",
    async (port) => {
      const { pid } = await status();
      const beforeBytes = residentBytes(pid);
      const flooder = await flood(lab.agent, "udp", gatewayOf(lab, lab.agent), port, DATAGRAMS);
      const startedMs = performance.now();
      const other = await askNatPmp(lab, lab.other, {
        protocol: "tcp",
        internal: 8000,
        external: 8300,
        lifetimeSec: 60,
      });
      expect(other).toMatchObject({ kind: "map", externalPort: 8300 });
      expect((await status()).pid).toBe(pid);
      expect(performance.now() - startedMs).toBeLessThan(STATUS_MS);
      const { sent } = await flooder.event<{ sent: number }>("done", { deadlineMs: 60_000 });
      expect(sent).toBeGreaterThan(DATAGRAMS / 2);
      expect(await askNatPmp(lab, lab.agent, null)).toMatchObject({ kind: "external-address" });
      expect(residentBytes(pid) - beforeBytes).toBeLessThan(GROWTH_BYTES);
      expect(site.child.stderr.length).toBeLessThan(200);
    },
    60_000,
  );
});
