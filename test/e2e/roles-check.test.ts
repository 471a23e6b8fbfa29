import { describe, expect, test } from "bun:test";
import { DEFAULT_OPTIONS, type RemoteSpec } from "../../src/core/forward.ts";
import { checkAtRelay, checkHere } from "../../src/roles/check/here.ts";
import type { CheckReport, CheckRequest } from "../../src/roles/control.ts";
import { FakeGateway } from "../../src/servers/local/fake-gateway.ts";
import type { Cidr } from "../../src/wire/address.ts";
import {
  anyPort,
  away,
  failureOf,
  type LabAgent,
  local,
  mapping,
  type RolesLab,
  remote,
  rolesLab,
  until,
} from "../fixtures/roles-lab.ts";
import { tcpService, udpService } from "../fixtures/services.ts";

/**
 * `check` of an agent and of a relay over real sockets of this machine. What needs an outside (own addresses, firewalls,
 * routers) is in test/netns/check.test.ts: no relay looks at a loopback address.
 */
const signal = new AbortController().signal;

function requestOf(
  port: number,
  more: Partial<CheckRequest> = {},
  protocol: "tcp" | "udp" | null = null,
): CheckRequest {
  return { target: { kind: "port", host: null, port, protocol }, payload: null, service: null, ...more };
}
const byName = (name: string, payload: string | null = null): CheckRequest => ({
  target: { kind: "name", name },
  payload,
  service: null,
});

const atAgent = (agent: LabAgent, request: CheckRequest) => agent.running.check(request);
const atRelay = (lab: RolesLab, request: CheckRequest) => checkAtRelay(lab.relay, request, signal);
const brief = ({ state, hop, rule }: CheckReport) => ({ state, hop, rule });
const markOf = ({ evidence }: CheckReport, hop: string) => evidence.find((line) => line.hop === hop)?.mark;

async function labWith(
  internal: number,
  more: Partial<RemoteSpec> = {},
  protocol: "tcp" | "udp" = "tcp",
): Promise<{ lab: RolesLab; agent: LabAgent; port: number } & AsyncDisposable> {
  const lab = await rolesLab();
  const agent = await lab.agent("attic");
  const port = lab.pool[0]!;
  await agent.add(remote("game", [mapping(protocol, port, port, internal)], more));
  return { lab, agent, port, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
}

describe("a forward of the relay", () => {
  test("that works: by its port, by its name, by the relay's name, and seen on the relay", async () => {
    using service = tcpService("web");
    await using site = await labWith(service.port);
    const { lab, agent, port } = site;
    const target = { kind: "port", host: "127.0.0.1", port, protocol: null } as const;
    for (const request of [requestOf(port), byName("game"), requestOf(port, { target })]) {
      const report = await atAgent(agent, request);
      expect(report).toMatchObject({
        v: 1,
        target: { protocol: "tcp", host: "127.0.0.1", port, forward: "game" },
        state: "open",
        hop: "none",
        sure: true,
        remedy: null,
      });
      expect(report.evidence.map(({ mark }) => mark)).toEqual(["ok", "ok", "ok", "ok"]);
    }
    expect(await atRelay(lab, byName("game"))).toMatchObject({ state: "open", target: { forward: "game" } });
  });

  test("over UDP, when the service answers", async () => {
    using service = await udpService("dns");
    await using site = await labWith(service.port, {}, "udp");
    expect(await atAgent(site.agent, requestOf(site.port))).toMatchObject({
      state: "open",
      target: { protocol: "udp" },
    });
    expect(await atRelay(site.lab, requestOf(site.port))).toMatchObject({ state: "open" });
  });

  test("over UDP, when the service is silent", async () => {
    const service = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { data: () => undefined } });
    await using site = await labWith(service.port, {}, "udp");
    const silent = await atAgent(site.agent, byName("game", "dns"));
    expect(brief(silent)).toEqual({ state: "dead-service", hop: "service", rule: "service silent" });
    const quiet = await atAgent(site.agent, byName("game"));
    expect(brief(quiet)).toMatchObject({ state: "open", rule: "came through, and is not answered by design" });
    service.close();
  }, 20_000);

  for (const protocol of ["tcp", "udp"] as const) {
    test(`whose ${protocol} service does not run: the way is tried all the same`, async () => {
      // Nobody has this port: it was given back a moment ago.
      using service = tcpService("gone");
      const { port } = service;
      service[Symbol.dispose]();
      await using site = await labWith(port, {}, protocol);
      const report = await atAgent(site.agent, byName("game"));
      expect(report).toMatchObject({ state: "dead-service", hop: "service", sure: true });
      expect(report.rule).toBe("nothing listens; the way is open");
      expect(markOf(report, "relay")).toBe("ok");
      expect(markOf(report, "service")).toBe("bad");
      if (protocol === "tcp") {
        expect(brief(await atRelay(site.lab, byName("game")))).toMatchObject({ state: "dead-service", hop: "service" });
      }
    });
  }

  test("whose service ends every connection", async () => {
    using service = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end(), data: () => undefined },
    });
    await using site = await labWith(service.port);
    expect(brief(await atAgent(site.agent, byName("game")))).toEqual({
      state: "dead-service",
      hop: "service",
      rule: "service ends the connection",
    });
  });

  test("that is disabled", async () => {
    await using site = await labWith(7, { enabled: false });
    const off = { state: "closed", hop: "policy", rule: "disabled" };
    expect(brief(await atAgent(site.agent, byName("game")))).toEqual(off as never);
    expect(brief(await atRelay(site.lab, byName("game")))).toEqual(off as never);
  });

  test("that does not let the asker in", async () => {
    using service = tcpService("web");
    const source = { allow: [], deny: ["127.0.0.0/8" as Cidr] };
    await using site = await labWith(service.port, { options: { ...DEFAULT_OPTIONS, source } });
    const report = await atAgent(site.agent, byName("game"));
    expect(brief(report)).toEqual({ state: "closed", hop: "policy", rule: "source not allowed" });
    expect(report.sentence).toContain("127.0.0.1");
    expect(markOf(report, "relay")).toBe("ok");
    expect(brief(await atRelay(site.lab, byName("game")))).toEqual({
      state: "unknown",
      hop: "policy",
      rule: "source not allowed",
    });
  });

  test("that is at its limit of visitors", async () => {
    using service = tcpService("web");
    await using site = await labWith(service.port, { options: { ...DEFAULT_OPTIONS, limits: { connections: 1 } } });
    const visitor = await Bun.connect({ hostname: "127.0.0.1", port: site.port, socket: { data: () => undefined } });
    await until(async () => (await site.lab.relay.visits()).length === 1);
    expect(brief(await atAgent(site.agent, byName("game")))).toEqual({
      state: "closed",
      hop: "policy",
      rule: "limit reached",
    });
    visitor.terminate();
  });

  test("whose port another device holds, or another program has", async () => {
    await using lab = await rolesLab();
    const holder = await lab.agent("holder");
    await holder.add(remote("mine", [mapping("tcp", lab.pool[0]!)]));
    using _program = Bun.listen({ hostname: "::", port: lab.pool[1]!, socket: { data: () => undefined } });
    const agent = await lab.agent("late", {
      forwards: [remote("held", [mapping("tcp", lab.pool[0]!)]), remote("taken", [mapping("tcp", lab.pool[1]!)])],
    });
    await until(async () => (await agent.forward("taken"))?.state === "refused");
    for (const name of ["held", "taken"]) {
      const report = await atAgent(agent, byName(name));
      expect(brief(report)).toEqual({ state: "closed", hop: "relay", rule: "port taken" });
    }
    expect((await atAgent(agent, byName("held"))).sentence).toContain('device "holder"');
    expect(brief(await atRelay(lab, requestOf(lab.pool[1]!)))).toMatchObject({
      hop: "relay",
      rule: "no forward, and something else answers",
    });
  });

  test("that the relay's rules refuse", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("attic", { forwards: [remote("low", [mapping("tcp", lab.pool[0]! - 1)])] });
    await until(async () => (await agent.forward("low"))?.state === "refused");
    expect(brief(await atAgent(agent, byName("low")))).toMatchObject({ hop: "policy" });
  });

  test("whose agent is away, as the relay sees it, and as a command without an agent does", async () => {
    using service = tcpService("web");
    await using lab = await rolesLab();
    const listed = remote("kept", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, service.port)]);
    const agent = await lab.agent("attic", { forwards: [listed] });
    await until(async () => (await agent.forward("kept"))?.state === "open");
    await agent.stop();
    await away(lab, "attic");
    const gone = { state: "closed", hop: "agent" };
    expect(brief(await atRelay(lab, byName("kept")))).toMatchObject({ ...gone, rule: "agent away" });
    const forThis = await lab.agent("attic", { forwards: [listed], runListed: false });
    expect(brief(await atAgent(forThis, byName("kept")))).toMatchObject({ ...gone, rule: "not run" });
    expect(brief(await atAgent(forThis, requestOf(lab.pool[0]!)))).toMatchObject({ ...gone, rule: "not run" });
  });

  test("whose relay is gone", async () => {
    await using site = await labWith(7);
    const down = site.agent.link("disconnected");
    await site.lab.relay.stop({ drainMs: 0 });
    await down;
    expect(brief(await atAgent(site.agent, byName("game")))).toMatchObject({
      state: "closed",
      hop: "agent",
      rule: "not connected, and the relay answers",
    });
  });

  test("that a group serves: another member's service answers for this one's", async () => {
    using service = tcpService("good");
    await using lab = await rolesLab();
    const [port] = lab.pool as [number];
    const [one, two] = [await lab.agent("one"), await lab.agent("two")];
    const spec = (internal: number) => remote("web", [mapping("tcp", port, port, internal)], { group: "g" });
    await one.add(spec(service.port));
    await two.add(spec(7));
    const states = new Set<string>();
    for (let n = 0; n < 2; n++) states.add((await atAgent(two, byName("web"))).state);
    expect([...states].toSorted()).toEqual(["dead-service", "open"]);
  }, 20_000);
});

describe("what is no forward of the relay", () => {
  test("a port of the relay that nobody has", async () => {
    await using site = await labWith(7);
    const target = { kind: "port", host: "127.0.0.1", port: site.lab.pool[3]!, protocol: "tcp" } as const;
    expect(brief(await atAgent(site.agent, requestOf(0, { target })))).toEqual({
      state: "closed",
      hop: "relay",
      rule: "no forward",
    });
    expect(brief(await atRelay(site.lab, requestOf(site.lab.pool[3]!)))).toMatchObject({ rule: "no forward" });
  });

  test("a forward that is none, and a payload that is none", async () => {
    await using site = await labWith(7);
    for (const request of [byName("nothing"), { ...byName("game"), payload: "telnet" }]) {
      expect(await failureOf(atAgent(site.agent, request))).toMatchObject({ kind: "usage" });
    }
    expect(await failureOf(atRelay(site.lab, byName("nothing")))).toMatchObject({ kind: "usage" });
  });

  test("a loopback asker's own address, which no relay looks at", async () => {
    await using lab = await rolesLab({ check: { listen: null, hosts: [], private: true, trustedProxies: [] } });
    const agent = await lab.agent("attic");
    expect(await failureOf(atAgent(agent, requestOf(9)))).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("a loopback address"),
    });
  });

  test("a host of somebody else, and one that does not resolve", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("attic");
    const of = (host: string) => requestOf(9, { target: { kind: "port", host, port: 9, protocol: null } });
    for (const host of ["198.51.100.7", "169.254.169.254", "10.0.0.1"]) {
      expect(await failureOf(atAgent(agent, of(host)))).toMatchObject({ kind: "refused" });
    }
    expect(await failureOf(atAgent(agent, of("nothing.invalid")))).toMatchObject({ kind: "usage" });
  });

  test("a local forward whose port a program of this machine has", async () => {
    await using lab = await rolesLab();
    using taken = tcpService("program");
    const spec = local("db", { ports: [mapping("tcp", taken.port, taken.port, 5432)] });
    const agent = await lab.agent("attic", { forwards: [spec] });
    expect(brief(await atAgent(agent, byName("db")))).toEqual({
      state: "closed",
      hop: "agent",
      rule: "port taken here",
    });
  });

  test("a forward without a port yet", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("attic");
    const down = agent.link("disconnected");
    await lab.relay.stop({ drainMs: 0 });
    await down;
    await agent.add(remote("any", anyPort(80)), true);
    expect(await failureOf(atAgent(agent, byName("any")))).toMatchObject({ kind: "unreachable" });
  });
});

describe("without anybody outside", () => {
  test("what this machine itself sees", async () => {
    using service = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => undefined } });
    const unseen = "no agent here has joined a relay.";
    const open = await checkHere(null, requestOf(service.port), unseen, signal);
    expect(open).toMatchObject({ state: "unknown", hop: "none", rule: "nobody looked", sure: false });
    expect(open.sentence).toContain(unseen);
    using loopback = tcpService("loopback");
    const only = await checkHere(null, requestOf(loopback.port), unseen, signal);
    expect(only).toMatchObject({ state: "closed", hop: "service", rule: "loopback only" });
    const { port } = loopback;
    loopback[Symbol.dispose]();
    const none = await checkHere(null, requestOf(port), unseen, signal);
    expect(none).toMatchObject({ state: "closed", hop: "service", rule: "nobody looked, nothing listens" });
  });

  test("of another host nothing can be said", async () => {
    const target = { kind: "port", host: "198.51.100.7", port: 80, protocol: null } as const;
    expect(await failureOf(checkHere(null, requestOf(80, { target }), "nobody.", signal))).toMatchObject({
      kind: "unreachable",
    });
  });

  test("a gateway's mapping: its client is looked at from there", async () => {
    using service = tcpService("client");
    const gateway = new FakeGateway();
    const state = { value: "open" as "open" | "disabled" };
    const listed = await gateway.listForwards();
    gateway.listForwards = async () => [
      {
        ...listed[0]!,
        name: "web",
        state: state.value,
        endpoints: [
          {
            protocol: "tcp",
            host: "203.0.113.1",
            port: 8_000,
            lastPort: 8_001,
            internalHost: "127.0.0.1",
            internalPort: service.port - 1,
          },
        ],
      },
    ];
    const asked = (request: CheckRequest) => checkHere(gateway, request, "no agent with a relay runs here.", signal);
    expect(await asked(requestOf(8_001))).toMatchObject({ rule: "nobody looked", target: { forward: "web" } });
    expect(await asked(byName("web"))).toMatchObject({ hop: "service", rule: "nobody looked, nothing listens" });
    state.value = "disabled";
    expect(await asked(byName("web"))).toMatchObject({ state: "closed", hop: "policy", rule: "disabled" });
  });
});
