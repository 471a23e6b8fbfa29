import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startAgent } from "../../src/roles/agent.ts";
import type { AgentSettings } from "../../src/roles/control.ts";
import { fastestMs } from "../fixtures/fastest.ts";
import { anyPort, failureOf, mapping, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, tcpService, visit } from "../fixtures/services.ts";

const NOTHING: AgentSettings = {
  name: null,
  relay: null,
  allow: [],
  managed: null,
  certificate: null,
  ca: null,
  forwards: [],
};
const DENIED = "The relay does not accept this device or join code: ask its operator for a new join code.";

describe("a join code", () => {
  test("that was used is refused to another device, which leaves nothing running", async () => {
    await using lab = await rolesLab();
    const code = await lab.relay.createJoinCode({ name: "web1", lifetimeSec: 60 });
    const start = (name: string) =>
      startAgent({
        dataDir: join(lab.directoryOf(name)),
        joinCode: code,
        readSettings: () => Promise.resolve(NOTHING),
        runListed: true,
      });
    const agent = await start("first");
    expect(await failureOf(start("second"))).toMatchObject({ name: "ControlError", kind: "refused", message: DENIED });
    // Its data directory is free again.
    expect(await failureOf(start("second"))).toMatchObject({ kind: "refused" });
    expect((await lab.relay.listDevices()).map(({ name, connected }) => [name, connected])).toEqual([["web1", true]]);
    await agent.stop({ drainMs: 0 });
  }, 20_000);

  test("is refused for a name that is taken, with what to do", async () => {
    await using lab = await rolesLab();
    await lab.agent("web1");
    expect(await failureOf(lab.relay.createJoinCode({ name: "web1", lifetimeSec: 60 }))).toMatchObject({
      kind: "usage",
    });
  });

  test("of a relay that is not there is answered by unreachable", async () => {
    await using lab = await rolesLab();
    const code = await lab.relay.createJoinCode({ name: "web1", lifetimeSec: 60 });
    await lab.relay.stop({ drainMs: 0 });
    const start = startAgent({
      dataDir: lab.directoryOf("web1"),
      joinCode: code,
      readSettings: () => Promise.resolve(NOTHING),
      runListed: true,
    });
    expect(await failureOf(start)).toMatchObject({
      kind: "unreachable",
      message: expect.stringContaining("The relay could not be reached"),
    });
  });

  const bad = [
    { name: "that is none", code: "hello", message: expect.any(String) },
    { name: "that is missing", code: null, message: expect.stringContaining("has not joined a relay yet") },
  ];
  for (const { name, code, message } of bad) {
    test(`${name} is a mistake of the caller`, async () => {
      await using lab = await rolesLab();
      const start = startAgent({
        dataDir: lab.directoryOf("web1"),
        joinCode: code,
        readSettings: () => Promise.resolve(NOTHING),
        runListed: true,
      });
      expect(await failureOf(start)).toMatchObject({ name: "ControlError", kind: "usage", message });
    });
  }
});

describe("a device that is revoked", () => {
  test("loses its session at once, its ports are free, and its agent ends", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    using other = tcpService("other");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    const second = await lab.agent("web2");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]), true);
    using staying = await visit(port);
    expect(await staying.ask("x")).toBe("web:x");
    const rejected = agent.link("rejected");
    const info = await lab.relay.revokeDevice("web1");
    expect(info).toMatchObject({ name: "web1", connected: false, revoked: true, forwards: 0 });
    expect(await staying.ended).toBe("reset");
    const message = "The relay revoked this device: ask its operator for a new join code.";
    expect(await rejected).toEqual({ event: "rejected", message });
    expect(await failureOf(agent.running.closed)).toMatchObject({ kind: "refused", message });
    expect(await ask(port)).toBe("ECONNREFUSED");
    await second.add(remote("web", [mapping("tcp", port, port, other.port)]));
    expect(await ask(port)).toBe("other:hello");
    expect(await failureOf(lab.relay.revokeDevice("web1"))).toMatchObject({ kind: "usage" });
  });

  test("while it is away ends with the same words when it comes", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    await agent.stop();
    await lab.relay.revokeDevice("web1");
    const again = await lab.agent("web1");
    expect(await failureOf(again.running.closed)).toMatchObject({ kind: "refused", message: DENIED });
  }, 20_000);

  test("may join again by a new code, and starts without forwards", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    await agent.add(remote("web", anyPort(80)));
    await lab.relay.revokeDevice("web1");
    await agent.running.closed.catch(() => undefined);
    const code = await lab.relay.createJoinCode({ name: "web1", lifetimeSec: 60 });
    const again = await startAgent({
      dataDir: lab.directoryOf("web1"),
      joinCode: code,
      readSettings: () => Promise.resolve(NOTHING),
      runListed: true,
    });
    await until(async () => (await lab.relay.status()).devicesConnected === 1);
    expect(await lab.relay.listForwards()).toEqual([]);
    await again.stop({ drainMs: 0 });
  });
});

describe("what is shown", () => {
  test("a refused service reaches relay and agent within 100 ms, by its reason", async () => {
    await using lab = await rolesLab();
    const stopped = tcpService("web");
    const { port: service } = stopped;
    stopped[Symbol.dispose]();
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, service)]));
    let visitors = 0;
    const seenMs = await fastestMs(100, async () => {
      const startedMs = performance.now();
      expect(await ask(lab.pool[0]!)).toBe("cut");
      const shown = [await lab.relay.listForwards(), await agent.running.listForwards()];
      const tookMs = performance.now() - startedMs;
      visitors++;
      const counters = { visitorsTotal: visitors, visitorsOpen: 0, refused: { serviceRefused: visitors } };
      expect(shown).toMatchObject([[{ counters }], [{ counters }]]);
      return tookMs;
    });
    expect(seenMs).toBeLessThan(100);
  });

  test("visitors that the relay turns away are known to the agent", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    const spec = remote("web", anyPort(80));
    const { remote: inner } = spec as Extract<typeof spec, { kind: "remote" }>;
    const options = { ...inner.options, source: { allow: [], deny: ["127.0.0.0/8" as never] } };
    await agent.add({ kind: "remote", remote: { ...inner, options }, to: "127.0.0.1" });
    expect(await ask(lab.pool[0]!)).toBe("cut");
    expect((await agent.forward("web"))?.counters.refused).toEqual({ sourceNotAllowed: 1 });
    expect((await agent.running.status()).counters.refused).toEqual({ sourceNotAllowed: 1 });
  });

  test("counters, visits and devices agree on both sides", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]));
    using staying = await visit(port);
    expect(await staying.ask("12345")).toBe("web:12345");
    const counted = { visitorsTotal: 1, visitorsOpen: 1, bytesIn: 5, bytesOut: 9, refused: {} };
    const relay = await lab.relay.status();
    expect(relay).toMatchObject({
      role: "relay",
      forwardsOpen: 1,
      devicesConnected: 1,
      devicesEnrolled: 1,
      draining: false,
      counters: counted,
    });
    const status = await agent.running.status();
    expect(status).toMatchObject({
      role: "agent",
      name: "web1",
      link: "up",
      message: null,
      forwardsOpen: 1,
      carriers: 5,
    });
    expect(status.counters).toMatchObject(counted);
    const [atRelay] = await lab.relay.visits();
    expect(atRelay).toMatchObject({ forwardId: "web", device: "web1", protocol: "tcp", bytesIn: 5, bytesOut: 9 });
    expect(atRelay?.entry).toBe(`127.0.0.1:${port}`);
    expect((await agent.running.visits())[0]).toMatchObject({ visitor: atRelay?.visitor, entry: atRelay?.entry });
    expect(await lab.relay.listDevices()).toMatchObject([
      { name: "web1", account: "owner", connected: true, forwards: 1, revoked: false, rttMs: expect.any(Number) },
    ]);
  });

  test("a forward whose device is away waits for it, with the end of its lease", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    await agent.add(remote("web", anyPort(80), { lifetimeSec: 600 }));
    const before = Date.now();
    await agent.stop();
    await until(async () => (await lab.relay.listForwards())[0]?.state === "away");
    const [forward] = await lab.relay.listForwards();
    expect(forward?.message).toBe("Its device is not connected; the ports are reserved for it.");
    expect(forward?.leaseEndsMs).toBeGreaterThanOrEqual(before + 599_999);
    expect(forward?.leaseEndsMs).toBeLessThanOrEqual(Date.now() + 600_001);
    expect(forward?.leaseEndsMs).toBeInteger();
    expect(await ask(lab.pool[0]!)).toBe("cut");
    expect((await lab.relay.listForwards())[0]?.counters.refused).toEqual({ deviceAway: 1 });
  });
});
