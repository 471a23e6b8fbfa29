import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { open, type Site, startSite, status } from "./hatchway.ts";
import { curl, startNginx, startService, startVisitor, type VisitEnd, visit, visitUdp } from "./kit.ts";
import { createLab, type Lab, VISITOR_SECOND_V4, VISITOR_SECOND_V6 } from "./lab.ts";

/** What a forward can do with its visitors. */
const AGENT_TOML = `
[[expose]]
ports = "12000:7001"
name = "denies"
deny = ["${VISITOR_SECOND_V4}", "${VISITOR_SECOND_V6}/128"]
[[expose]]
ports = "12001:7001"
name = "three-at-once"
connections = 3
[[expose]]
ports = "12002:7001"
name = "two-per-source"
connections-per-source = 2
[[expose]]
ports = "12003:7002"
name = "slow"
bandwidth = "2 MB/s"
[[expose]]
ports = "12004:7003"
name = "idle"
idle = "1s"
[[expose]]
ports = "12005:7001"
name = "at-most-five"
new-per-source = 5
`;
let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { agent: AGENT_TOML });
  await startService(lab, lab.agent, "echo:tcp:7001", "source:tcp:7002:100000000", "watch:tcp:7003", "header:udp:7004");
  await startNginx(lab, lab.agent, 8080, "page");
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

const httpCode = async (port: number, ...args: readonly string[]): Promise<number> =>
  (await curl(lab, lab.visitor, ...args, `http://${lab.relay.v4}:${port}/`)).exitCode;

describe("who the visitor is", () => {
  for (const version of ["v1", "v2"] as const) {
    test(`PROXY protocol ${version} tells nginx the visitor's address, IPv4 and IPv6`, async () => {
      await using _ = await open(lab, site.agentHome, "expose", "8081", "--proxy-protocol", version);
      const seen = async (host: string, ...args: readonly string[]): Promise<string> =>
        (await curl(lab, lab.visitor, ...args, `http://${host}:8081/`)).stdout.split(" ")[0]!;
      expect(await seen(lab.relay.v4)).toBe(lab.visitor.v4);
      expect(await seen(lab.relay.v4, "--interface", VISITOR_SECOND_V4)).toBe(VISITOR_SECOND_V4);
      expect(await seen(`[${lab.relay.v6}]`, "--interface", VISITOR_SECOND_V6)).toBe(VISITOR_SECOND_V6);
    });
  }

  test("PROXY protocol v2 stands before each datagram", async () => {
    await using _ = await open(lab, site.agentHome, "expose", "7004/udp", "--proxy-protocol", "v2");
    const { answer } = await visitUdp<{ answer: string }>(lab, lab.visitor, "ask", lab.relay.v4, 7004, "hello");
    expect(JSON.parse(answer)).toMatchObject({
      transport: "udp4",
      source: lab.visitor.v4,
      destinationPort: 7004,
      payload: "hello",
    });
  });
});

describe("who may come in", () => {
  test("--allow lets in its networks only", async () => {
    await using _ = await open(
      lab,
      site.agentHome,
      "expose",
      "8080",
      "--as",
      "12010",
      "--allow",
      `${VISITOR_SECOND_V4}/32`,
    );
    expect(await httpCode(12010, "--interface", VISITOR_SECOND_V4)).toBe(0);
    expect(await httpCode(12010, "--interface", lab.visitor.v4)).not.toBe(0);
    expect((await status(lab, site.relayHome)).counters.refused["sourceNotAllowed"]).toBeGreaterThanOrEqual(1);
  });

  test("deny keeps its networks out", async () => {
    const echoes = async (bind: string, host: string): Promise<string> =>
      (await lab.exec(lab.visitor, ["sh", "-c", `echo hi | socat -t10 -T10 - TCP:${host}:12000,bind=${bind}`])).stdout;
    expect(await echoes(lab.visitor.v4, lab.relay.v4)).toBe("hi");
    expect(await echoes(VISITOR_SECOND_V4, lab.relay.v4)).toBe("");
    expect(await echoes(`[${VISITOR_SECOND_V6}]`, `[${lab.relay.v6}]`)).toBe("");
  });
});

describe("how many and how fast", () => {
  test.each([
    ["connections", 12001, 3],
    ["connections-per-source", 12002, 2],
  ])("%s", async (_, port, limit) => {
    await using held = startVisitor(lab, lab.visitor, "hold", lab.relay.v4, port, limit);
    await held.event("holding");
    const before = (await status(lab, site.relayHome)).counters.refused["connectionLimit"] ?? 0;
    expect(await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, port)).toMatchObject({
      error: "ECONNRESET",
    });
    expect((await status(lab, site.relayHome)).counters.refused["connectionLimit"]).toBe(before + 1);
  });

  test("new-per-source refuses a burst and counts it", async () => {
    await lab.exec(lab.visitor, [
      "sh",
      "-c",
      `for n in $(seq 40); do socat -T1 -u TCP:${lab.relay.v4}:12005 - </dev/null & done; wait`,
    ]);
    expect((await status(lab, site.relayHome)).counters.refused["rateLimit"]).toBeGreaterThanOrEqual(20);
  });

  test("bandwidth is kept within a quarter", async () => {
    const { bytesPerSec } = await visit<{ bytesPerSec: number }>(lab, lab.visitor, "rate", lab.relay.v4, 12003, 3_000);
    expect(bytesPerSec).toBeGreaterThan(1_500_000);
    expect(bytesPerSec).toBeLessThan(2_500_000);
  });

  test("idle ends a silent connection", async () => {
    const end = await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, 12004);
    expect(end.ms).toBeGreaterThan(900);
    expect((await status(lab, site.relayHome)).counters.refused["idle"]).toBeGreaterThanOrEqual(1);
  });
});
