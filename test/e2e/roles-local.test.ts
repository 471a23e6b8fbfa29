import { describe, expect, test } from "bun:test";
import type { Via } from "../../src/core/forward.ts";
import { startStandalone } from "../../src/roles/standalone.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { local, mapping, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, askUdp, tcpService, udpService, visit } from "../fixtures/services.ts";

const HERE = "127.0.0.1";
const allow = (port: number, host = HERE) => [
  { host, ports: [mapping("tcp" as const, port), mapping("udp" as const, port)] },
];

/** A local forward to a service of this machine, on a port of its own. */
async function localTo(service: number, via: Via, to = HERE) {
  const [port] = await freePorts(1);
  const spec = local("db", { ports: [mapping("tcp", port!, port!, service)], via, to });
  return { port: port!, spec };
}

describe("a local forward by the relay", () => {
  test("reaches what the relay's allow lists", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab({ allow: allow(service.port) });
    const agent = await lab.agent("laptop");
    const { port, spec } = await localTo(service.port, { kind: "relay" });
    expect(await agent.add(spec)).toMatchObject({ state: "open", type: "local", via: "relay" });
    expect(await ask(port)).toBe("db:hello");
  });

  test("carries datagrams", async () => {
    using service = await udpService("dns");
    await using lab = await rolesLab({ allow: allow(service.port) });
    const agent = await lab.agent("laptop");
    const [port] = await freePorts(1);
    await agent.add(local("dns", { ports: [mapping("udp", port!, port!, service.port)] }));
    expect(await askUdp(port!)).toBe("dns:hello");
  });

  for (const { name, to, allowed } of [
    { name: "nothing is allowed unless it is listed", to: HERE, allowed: [] },
    { name: "the relay's loopback is not public", to: HERE, allowed: [{ host: "*", ports: null }] },
    { name: "nor is a metadata service", to: "169.254.169.254", allowed: [{ host: "*", ports: null }] },
    { name: "nor is one written as IPv6", to: "::ffff:169.254.169.254", allowed: [{ host: "*", ports: null }] },
    { name: "another port is not what is allowed", to: HERE, allowed: allow(1) },
  ]) {
    test(`is refused: ${name}`, async () => {
      using service = tcpService("db");
      await using lab = await rolesLab({ allow: allowed });
      const agent = await lab.agent("laptop");
      const { port, spec } = await localTo(service.port, { kind: "relay" }, to);
      await agent.add(spec);
      expect(await ask(port)).toBe("cut");
      expect(service.total).toBe(0);
      expect((await agent.forward("db"))?.counters.refused).toEqual({ exitNotAllowed: 1 });
      expect((await lab.relay.status()).counters.refused).toEqual({ exitNotAllowed: 1 });
    });
  }

  test("follows a reload of the relay's allow", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab();
    const agent = await lab.agent("laptop");
    const { port, spec } = await localTo(service.port, { kind: "relay" });
    await agent.add(spec);
    expect(await ask(port)).toBe("cut");
    lab.relaySettings = { ...lab.relaySettings, allow: allow(service.port) };
    expect(await lab.relay.reload()).toMatchObject({ changed: ["relay.allow"], needRestart: [] });
    expect(await ask(port)).toBe("db:hello");
  });
});

describe("a local forward by another agent", () => {
  test("reaches what that agent allows, and nothing else", async () => {
    using service = tcpService("db");
    using secret = tcpService("secret");
    await using lab = await rolesLab();
    await lab.agent("server", { allow: allow(service.port) });
    const laptop = await lab.agent("laptop");
    const open = await localTo(service.port, { kind: "agent", device: "server" });
    await laptop.add(open.spec);
    expect(await ask(open.port)).toBe("db:hello");
    const closed = await localTo(secret.port, { kind: "agent", device: "server" });
    await laptop.add({ ...closed.spec, local: { ...(closed.spec as { local: object }).local, id: "closed" } } as never);
    expect(await ask(closed.port)).toBe("cut");
    expect(secret.total).toBe(0);
    expect((await laptop.forward("closed"))?.counters.refused).toEqual({ exitNotAllowed: 1 });
  });

  test("learns nothing of another account's devices", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab();
    await lab.restartRelay(async () => {
      const store = await lab.openStore();
      await store.accounts.create({ name: "neighbour", role: "user" }, 1);
      await store.close();
    });
    await lab.agent("server", { allow: allow(service.port), account: "neighbour" });
    const laptop = await lab.agent("laptop");
    for (const device of ["server", "nobody"]) {
      const { port, spec } = await localTo(service.port, { kind: "agent", device });
      await laptop.add(spec);
      expect(await ask(port)).toBe("cut");
      expect((await laptop.forward("db"))?.counters.refused).toEqual({ deviceAway: 1 });
      await laptop.running.removeForward("db");
    }
    expect(service.total).toBe(0);
  });

  test("is refused for itself, and while it is away", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab();
    const server = await lab.agent("server", { allow: allow(service.port) });
    const laptop = await lab.agent("laptop");
    const { port, spec } = await localTo(service.port, { kind: "agent", device: "server" });
    await laptop.add(spec);
    await server.stop();
    await until(async () =>
      (await lab.relay.listDevices()).every(({ name, connected }) => name !== "server" || !connected),
    );
    expect(await ask(port)).toBe("cut");
    expect((await laptop.forward("db"))?.counters.refused).toEqual({ deviceAway: 1 });
    const own = await localTo(service.port, { kind: "agent", device: "laptop" });
    await laptop.running.removeForward("db");
    await laptop.add(own.spec);
    expect(await ask(own.port)).toBe("cut");
    expect((await laptop.forward("db"))?.counters.refused).toEqual({ policy: 1 });
  });
});

describe("a dynamic forward", () => {
  /** What an HTTP CONNECT to `target` answers, and then the service. */
  async function connectBy(proxy: number, target: string): Promise<readonly (string | null)[]> {
    using visitor = await visit(proxy);
    const answer = await visitor.ask(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    const status = answer?.split("\r\n")[0] ?? null;
    return status?.startsWith("HTTP/1.1 200") === true ? [status.slice(0, 12), await visitor.ask("hello")] : [status];
  }

  for (const { name, via, whose } of [
    { name: "here", via: { kind: "here" }, whose: "laptop" },
    { name: "by the relay", via: { kind: "relay" }, whose: "relay" },
    { name: "by another agent", via: { kind: "agent", device: "server" }, whose: "server" },
  ] as const) {
    test(`${name} reaches what that exit allows, and nothing else`, async () => {
      using service = tcpService("db");
      using secret = tcpService("secret");
      const of = (exit: string) => (exit === whose ? allow(service.port) : []);
      await using lab = await rolesLab({ allow: of("relay") });
      await lab.agent("server", { allow: of("server") });
      const laptop = await lab.agent("laptop", { allow: of("laptop") });
      const [port] = await freePorts(1);
      const spec = local("socks", { type: "dynamic", via, to: null, ports: [mapping("tcp", port!)] });
      expect(await laptop.add(spec)).toMatchObject({ type: "dynamic", endpoints: [{ port, internalHost: null }] });
      expect(await connectBy(port!, `127.0.0.1:${service.port}`)).toEqual(["HTTP/1.1 200", "db:hello"]);
      for (const target of [`127.0.0.1:${secret.port}`, `localhost:${secret.port}`, "169.254.169.254:80"]) {
        const [status] = await connectBy(port!, target);
        expect(status ?? "cut").not.toStartWith("HTTP/1.1 200");
      }
      expect(secret.total).toBe(0);
      expect((await laptop.forward("socks"))?.counters.refused).toMatchObject({ exitNotAllowed: 3 });
    });
  }
});

describe("a forward whose entry is here", () => {
  test("and gets other ports keeps the visitors of those it keeps", async () => {
    using service = tcpService("web");
    await using lab = await rolesLab();
    const agent = await lab.agent("laptop");
    const [a, b, c] = (await freePorts(3)) as [number, number, number];
    const to = (...ports: number[]) =>
      local("web", { via: { kind: "here" }, ports: ports.map((port) => mapping("tcp", port, port, service.port)) });
    await agent.add(to(a, b));
    using gone = await visit(a);
    using kept = await visit(b);
    await gone.ask("x");
    await kept.ask("x");
    await agent.add(to(b, c));
    expect(await gone.ended).toBe("reset");
    expect(await kept.ask("still")).toBe("web:still");
    expect([await ask(a), await ask(b), await ask(c)]).toEqual(["ECONNREFUSED", "web:hello", "web:hello"]);
  });
});

describe("a direct forward", () => {
  test("runs beside an agent's others", async () => {
    using service = tcpService("web");
    await using lab = await rolesLab();
    const agent = await lab.agent("laptop");
    const { port, spec } = await localTo(service.port, { kind: "here" });
    await agent.add({ ...spec, local: { ...(spec as { local: object }).local, type: "direct" } } as never);
    expect(await ask(port)).toBe("web:hello");
  });

  test("runs without an agent, until its signal aborts", async () => {
    using service = tcpService("web");
    const { port, spec } = await localTo(service.port, { kind: "here" });
    const abort = new AbortController();
    const events = startStandalone([{ ...spec } as never], abort.signal)[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ event: "exposed", endpoints: [{ port, internalHost: HERE }] });
    expect(await ask(port)).toBe("web:hello");
    abort.abort();
    let next = await events.next();
    while (next.done !== true) next = await events.next();
    expect(await ask(port)).toBe("ECONNREFUSED");
  });

  test("whose port is taken is refused, and the others run", async () => {
    using service = tcpService("web");
    const [taken, free] = await freePorts(2);
    using _program = Bun.listen({ hostname: HERE, port: taken!, socket: { data: () => undefined } });
    const abort = new AbortController();
    const specs = [
      local("taken", { type: "direct", via: { kind: "here" }, ports: [mapping("tcp", taken!, taken!, service.port)] }),
      local("free", { type: "direct", via: { kind: "here" }, ports: [mapping("tcp", free!, free!, service.port)] }),
    ];
    const events = startStandalone(specs, abort.signal)[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ event: "refused", id: "taken", kind: "conflict" });
    expect((await events.next()).value).toMatchObject({ event: "exposed", id: "free" });
    expect(await ask(free!)).toBe("web:hello");
    abort.abort();
    await events.return?.();
  });
});
