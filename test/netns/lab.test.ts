import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { startNginx, startService, startSshd, startVisitor, type VisitEnd, visit, visitUdp } from "./kit.ts";
import { createLab, type Lab, VISITOR_SECOND_V4 } from "./lab.ts";
import { eventually, listening } from "./ready.ts";

/** The lab and its peers themselves, with OpenSSH and socat where the product would be. */
const MB = 1_000_000;
let lab: Lab;

beforeAll(() => {
  lab = createLab();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

const reaches = async (from: "visitor" | "agent" | "other" | "relay", host: string, port: number): Promise<string> => {
  const { stdout, stderr } = await lab.exec(lab[from], [
    "socat",
    "-u",
    "-T10",
    `TCP:${host}:${port},connect-timeout=1`,
    "-",
  ]);
  return stdout || stderr;
};

describe("the network", () => {
  test("agents are hidden behind the NAT box, over IPv4 and IPv6", async () => {
    await using _ = await startService(lab, lab.relay, "peer:tcp:7");
    await using __ = await startService(lab, lab.agent, "peer:tcp:7");
    expect(await reaches("agent", lab.relay.v4, 7)).toStartWith(`::ffff:${lab.nat.v4} `);
    expect(await reaches("other", lab.relay.v4, 7)).toStartWith(`::ffff:${lab.nat.v4} `);
    expect(await reaches("agent", `[${lab.relay.v6}]`, 7)).toStartWith(`${lab.nat.v6} `);
    expect(await reaches("visitor", lab.agent.v4, 7)).toContain("unreachable");
    expect(await reaches("visitor", `[${lab.agent.v6}]`, 7)).toContain("unreachable");
    expect(await reaches("relay", lab.agent.v4, 7)).toContain("unreachable");
    expect(await reaches("visitor", lab.nat.v4, 7)).toContain("refused");
  });

  test("the visitor has a second address", async () => {
    await using _ = await startService(lab, lab.relay, "peer:tcp:7");
    const { stdout } = await lab.exec(lab.visitor, [
      "socat",
      "-u",
      "-T10",
      `TCP:${lab.relay.v4}:7,bind=${VISITOR_SECOND_V4}`,
      "-",
    ]);
    expect(stdout).toStartWith(`::ffff:${VISITOR_SECOND_V4} `);
  });

  test("links can go silent, be cut and come back, and the agent can move", async () => {
    await using _ = await startService(lab, lab.relay, "port:tcp:7");
    const answers = (): Promise<true | undefined> =>
      reaches("agent", lab.relay.v4, 7).then((text) => (text === "7" ? true : undefined));
    lab.blackhole();
    expect(await reaches("agent", lab.relay.v4, 7)).toContain("timed out");
    lab.restore();
    await eventually("back after a blackhole", answers);
    lab.unplug();
    expect(await answers()).toBeUndefined();
    lab.plugIn();
    await eventually("back after a cut", answers);
    lab.moveAgent(9);
    await eventually("back from another address", answers);
    lab.moveAgent(2);
    await eventually("back from the first address", answers);
  });

  test("a lab that is gone leaves nothing", async () => {
    const second = createLab();
    const { namespace } = second.relay;
    second.spawn(second.relay, ["socat", "TCP-LISTEN:7", "-"]);
    expect(existsSync(`/run/netns/${namespace}`)).toBe(true);
    await second[Symbol.asyncDispose]();
    expect(readdirSync("/run/netns").filter((name) => name === namespace)).toEqual([]);
    expect(existsSync(second.directory)).toBe(false);
  });
});

describe("the programs", () => {
  test("nginx, curl and OpenSSH's own remote forward", async () => {
    await using _ = await startNginx(lab, lab.agent, 8080, "hello from nginx");
    const sshd = await startSshd(lab, lab.relay, 22);
    await using forward = lab.spawn(lab.agent, [
      ...sshd.clientArgs(lab.relay.v4, 22),
      "-N",
      "-R",
      "9080:127.0.0.1:8080",
    ]);
    await listening(sshd.child, "tcp", 9080);
    const { stdout } = await lab.exec(lab.relay, ["curl", "-sS", "http://127.0.0.1:9080/"]);
    expect(stdout).toBe("hello from nginx");
    await forward.kill();
    await sshd.child.kill();
  });

  test("TCP peers tell an end from a reset, and count what they send", async () => {
    await using service = await startService(
      lab,
      lab.relay,
      `answer:tcp:7001:${5 * MB}`,
      "listen:tcp:7002",
      "resetter:tcp:7003",
      "watch:tcp:7004",
      "echo:tcp:7005",
      "port:tcp:7100-7109",
      `source:tcp:7006:${1000 * MB}`,
    );
    const to = lab.relay.v4;
    expect(await visit<object>(lab, lab.visitor, "ask", to, 7001, 3 * MB)).toMatchObject({
      ended: true,
      error: null,
      sentAll: true,
      received: 5 * MB,
      wrongAt: null,
    });
    expect(await service.event<object>("received")).toMatchObject({ port: 7001, bytes: 3 * MB, wrongAt: null });
    const fromLine = service.stdout.length;
    expect(await visit<object>(lab, lab.visitor, "afterwards", to, 7002, 3 * MB)).toMatchObject({
      sentAll: true,
      error: null,
    });
    expect(await service.event<object>("received", { fromLine })).toMatchObject({
      port: 7002,
      bytes: 3 * MB,
      wrongAt: null,
    });
    expect(await visit<VisitEnd>(lab, lab.visitor, "watch", to, 7003, "x")).toMatchObject({ error: "ECONNRESET" });
    expect(await visit<VisitEnd>(lab, lab.visitor, "watch", to, 7999)).toMatchObject({ error: "ECONNREFUSED" });
    await visit(lab, lab.visitor, "reset", to, 7004);
    expect(await service.event<object>("closed")).toMatchObject({ port: 7004, error: "ECONNRESET" });
    const { answers } = await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", to, 7100, 7109);
    expect(answers).toEqual({ 7100: "7100\n", 7109: "7109\n" });
    expect((await visit<{ bytesPerSec: number }>(lab, lab.visitor, "rate", to, 7006, 200)).bytesPerSec).toBeGreaterThan(
      10 * MB,
    );

    await using kept = startVisitor(lab, lab.visitor, "keep", to, 7005);
    await kept.event("started");
    kept.signal("SIGTERM");
    expect(await kept.event<object>("done")).toMatchObject({ ended: true, error: null, whole: true });
    await using held = startVisitor(lab, lab.visitor, "hold", to, 7006, 10);
    expect(await held.event<object>("holding")).toMatchObject({ open: 10 });
  }, 20_000);

  test("UDP peers carry every size and keep a thousand flows apart", async () => {
    await using _ = await startService(lab, lab.relay, "echo:udp:7001", "dns:udp:53");
    const to = lab.relay.v4;
    const { results } = await visitUdp<{ results: object[] }>(
      lab,
      lab.visitor,
      "sizes",
      to,
      7001,
      1,
      1_400,
      9_000,
      65_507,
    );
    const from = `${to} 7001`;
    expect(results).toEqual([1, 1_400, 9_000, 65_507].map((size) => ({ size, received: size, same: true, from })));
    expect(await visitUdp<object>(lab, lab.visitor, "flows", to, 7001, 1_000)).toMatchObject({
      answered: 1_000,
      mixedUp: 0,
      wrongSource: 0,
    });
    const dig = await lab.exec(lab.visitor, ["dig", "+short", `@${to}`, "any.example.com", "A"]);
    expect(dig.stdout).toBe("192.0.2.53");
  }, 20_000);
});
