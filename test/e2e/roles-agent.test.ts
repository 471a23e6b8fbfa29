import { describe, expect, test } from "bun:test";
import { DEFAULT_OPTIONS } from "../../src/core/forward.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { anyPort, attach, away, failureOf, local, mapping, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, tcpService, visit } from "../fixtures/services.ts";

describe("a forward that was added to last", () => {
  test("is there after the agent started again, and gone after it was removed", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]), true);
    await agent.add(remote("passing", [mapping("tcp", lab.pool[1]!)]), false);
    await agent.stop();
    const again = await lab.agent("web1");
    await until(async () => (await again.forward("web"))?.state === "open");
    expect(await ask(port)).toBe("web:hello");
    expect((await again.running.listForwards()).map(({ id }) => id)).toEqual(["web"]);
    // What the agent no longer names is given up.
    expect((await lab.relay.listForwards()).map(({ id }) => id)).toEqual(["web"]);
    expect((await again.running.removeForward("web")).id).toBe("web");
    await again.stop();
    const third = await lab.agent("web1");
    await third.link("connected");
    expect(await third.running.listForwards()).toEqual([]);
    await until(async () => (await lab.relay.listForwards()).length === 0);
  });

  test("waits while the relay is away, and opens when it is back", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    await lab.restartRelay(async () => {
      const info = await agent.add(remote("web", [mapping("tcp", port, port, service.port)]), true);
      expect(info).toMatchObject({ state: "waiting", message: "The relay is not reachable now.", endpoints: [] });
    });
    await until(async () => (await agent.forward("web"))?.state === "open");
    expect(await ask(port)).toBe("web:hello");
  });

  test("and is refused leaves nothing behind, here and on the relay", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    expect(await failureOf(agent.add(remote("web", [mapping("tcp", 1)]), true))).toMatchObject({ kind: "refused" });
    await agent.stop();
    const again = await lab.agent("web1");
    await again.link("connected");
    expect(await again.running.listForwards()).toEqual([]);
    expect(await lab.relay.listForwards()).toEqual([]);
  });

  test("in the place of one that is open, and is refused, leaves that one open", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]), true);
    using staying = await visit(port);
    expect(await staying.ask("x")).toBe("web:x");
    expect(await failureOf(agent.add(remote("web", [mapping("tcp", 1)]), true))).toMatchObject({ kind: "refused" });
    expect(await staying.ask("y")).toBe("web:y");
    expect(await ask(port)).toBe("web:hello");
    expect((await agent.forward("web"))?.state).toBe("open");
  });

  const removals = [
    { name: "unknown", what: "nothing", says: 'There is no forward "nothing": "hatchway forward ls" lists them.' },
    {
      name: "listed in the config",
      what: "listed",
      says: '"listed" is listed in hatchway.toml: remove it there, then reload.',
    },
    {
      name: "attached",
      what: "attached",
      says: '"attached" belongs to a command that is running: end that command instead.',
    },
    {
      name: "one of two names",
      what: "twice",
      says: 'Several forwards are called "twice": name one by its id (a, b).',
    },
  ];
  for (const { name, what, says } of removals) {
    test(`is not removed when it is ${name}`, async () => {
      await using lab = await rolesLab();
      const agent = await lab.agent("web1", { forwards: [remote("listed", anyPort(80))] });
      const attached = attach(agent, [remote("attached", anyPort(80))]);
      await attached.next("exposed");
      for (const id of ["a", "b"]) await agent.add(remote(id, anyPort(80), { name: "twice" }));
      expect(await failureOf(agent.running.removeForward(what))).toMatchObject({ kind: "usage", message: says });
      attached.abort();
    });
  }

  test("does not take the place of one that a command attached", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    const attached = attach(agent, [remote("web", anyPort(80))]);
    await attached.next("exposed");
    expect(await failureOf(agent.add(remote("web", anyPort(80)), true))).toMatchObject({ kind: "usage" });
    attached.abort();
  });
});

describe("a reload", () => {
  test("touches only what changed", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const at = (id: string, n: number, options = DEFAULT_OPTIONS) =>
      remote(id, [mapping("tcp", lab.pool[n]!, lab.pool[n]!, service.port)], { options });
    const agent = await lab.agent("web1", {
      forwards: [at("same", 0), at("limited", 1), at("moved", 2), at("gone", 3)],
    });
    await until(async () => (await agent.running.status()).forwardsOpen === 4);
    using unchanged = await visit(lab.pool[0]!);
    using limited = await visit(lab.pool[1]!);
    expect([await unchanged.ask("x"), await limited.ask("x")]).toEqual(["web:x", "web:x"]);
    const options = { ...DEFAULT_OPTIONS, limits: { connections: 1 } };
    agent.settings = {
      ...agent.settings,
      forwards: [at("same", 0), at("limited", 1, options), at("moved", 4), at("new", 5)],
    };
    expect(await agent.running.reload()).toEqual({
      v: 1,
      added: ["new"],
      changed: ["limited", "moved"],
      removed: ["gone"],
      unchanged: 1,
      refused: [],
      needRestart: [],
    });
    expect([await unchanged.ask("y"), await limited.ask("y")]).toEqual(["web:y", "web:y"]);
    expect(await Promise.all([0, 1, 2, 3, 4, 5].map((n) => ask(lab.pool[n]!)))).toEqual([
      "web:hello",
      "cut",
      "ECONNREFUSED",
      "ECONNREFUSED",
      "web:hello",
      "web:hello",
    ]);
  });

  test("lets two forwards change places", async () => {
    await using lab = await rolesLab();
    using one = tcpService("one");
    using two = tcpService("two");
    const [a, b] = await freePorts(2);
    const pair = (swap: boolean) => {
      const [p, q] = swap ? [1, 0] : [0, 1];
      return [
        remote("one", [mapping("tcp", lab.pool[p!]!, lab.pool[p!]!, one.port)]),
        remote("two", [mapping("tcp", lab.pool[q!]!, lab.pool[q!]!, two.port)]),
        local("l1", {
          type: "direct",
          via: { kind: "here" },
          ports: [mapping("tcp", [a!, b!][p!]!, [a!, b!][p!]!, one.port)],
        }),
        local("l2", {
          type: "direct",
          via: { kind: "here" },
          ports: [mapping("tcp", [a!, b!][q!]!, [a!, b!][q!]!, two.port)],
        }),
      ];
    };
    const agent = await lab.agent("web1", { forwards: pair(false) });
    await until(async () => (await agent.running.status()).forwardsOpen === 4);
    agent.settings = { ...agent.settings, forwards: pair(true) };
    expect(await agent.running.reload()).toMatchObject({ changed: ["one", "two", "l1", "l2"], refused: [] });
    expect([await ask(lab.pool[0]!), await ask(lab.pool[1]!), await ask(a!), await ask(b!)]).toEqual([
      "two:hello",
      "one:hello",
      "two:hello",
      "one:hello",
    ]);
  });

  test("tells what was refused, and asks for it again the next time", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    const taken = Bun.listen({ hostname: "::", port: lab.pool[0]!, socket: { data: () => undefined } });
    agent.settings = { ...agent.settings, forwards: [remote("web", [mapping("tcp", lab.pool[0]!)])] };
    const refused = await agent.running.reload();
    expect(refused).toMatchObject({ added: ["web"], refused: [expect.stringContaining("is in use on this machine")] });
    expect(await agent.forward("web")).toMatchObject({ state: "refused", message: refused.refused[0], endpoints: [] });
    taken.stop(true);
    expect(await agent.running.reload()).toMatchObject({ added: [], changed: ["web"], unchanged: 0, refused: [] });
    expect(await agent.running.reload()).toMatchObject({ changed: [], unchanged: 1 });
  });

  test("that cannot be read changes nothing", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1", { forwards: [remote("web", anyPort(80))] });
    await until(async () => (await agent.forward("web"))?.state === "open");
    const { forwards } = agent.settings;
    Object.defineProperty(agent.settings, "forwards", { get: () => forwards });
    expect(await agent.running.reload()).toMatchObject({ unchanged: 1 });
  });
});

describe("attached forwards", () => {
  test("are exposed, count, and close at once when their command aborts", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("web1");
    const attached = attach(agent, [remote("web", anyPort(service.port)), remote("bad", [mapping("tcp", 1)])]);
    const refused = await attached.next("refused");
    expect(refused).toMatchObject({ id: "bad", kind: "policy" });
    const attachedAgain = attach(agent, [remote("web", anyPort(service.port))]);
    expect(await attachedAgain.next("refused")).toMatchObject({ id: "web", kind: "conflict" });
    await attachedAgain.ended;
    expect(await ask(lab.pool[0]!)).toBe("web:hello");
    let { forwards } = await attached.next("counters");
    // One of before may be on its way.
    while (forwards[0]?.visitorsTotal === 0) ({ forwards } = await attached.next("counters"));
    expect(forwards).toMatchObject([{ id: "web", visitorsTotal: 1, bytesIn: 5, bytesOut: 9 }]);
    using staying = await visit(lab.pool[0]!);
    expect(await staying.ask("x")).toBe("web:x");
    attached.abort();
    expect(await staying.ended).toBe("reset");
    await attached.ended;
    await until(async () => (await lab.relay.listForwards()).length === 0);
    expect(await ask(lab.pool[0]!)).toBe("ECONNREFUSED");
    expect(await agent.running.listForwards()).toEqual([]);
  });

  test("close when their command aborts though nobody reads its events", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    const abort = new AbortController();
    const events = agent.running.attach([remote("web", anyPort(80))], abort.signal)[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ event: "exposed" });
    abort.abort();
    expect(await agent.running.listForwards()).toEqual([]);
    await until(async () => (await lab.relay.listForwards()).length === 0);
    await events.return?.();
  });

  test("hear of the link, and are exposed again only if something changed", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    const attached = attach(agent, [remote("web", anyPort(80))]);
    await attached.next("exposed");
    await lab.restartRelay();
    expect(await attached.next("down")).toMatchObject({ message: expect.any(String), retryInMs: expect.any(Number) });
    await attached.next("up");
    await until(async () => (await agent.forward("web"))?.state === "open");
    attached.abort();
    await attached.ended;
    expect(await failureOf(attached.next("exposed"))).toMatchObject({
      message: expect.stringContaining("ended before"),
    });
  });

  test("end when the agent stops, and are not held for it", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    const attached = attach(agent, [remote("web", anyPort(80))]);
    await attached.next("exposed");
    await agent.stop();
    expect(await failureOf(attached.ended)).toMatchObject({ kind: "unreachable", message: "The agent was stopped." });
    await until(async () => (await lab.relay.listForwards()).length === 0);
  });

  test("of a command without the agent leave what is listed reserved", async () => {
    await using lab = await rolesLab();
    const listed = remote("listed", [mapping("tcp", lab.pool[0]!)]);
    const agent = await lab.agent("web1", { forwards: [listed] });
    await agent.add(remote("added", [mapping("tcp", lab.pool[1]!)]), true);
    await until(async () => (await agent.running.status()).forwardsOpen === 2);
    await agent.stop();
    await away(lab, "web1");
    const command = await lab.agent("web1", { forwards: [listed], runListed: false });
    const attached = attach(command, [remote("web", [mapping("tcp", lab.pool[2]!)])]);
    await attached.next("exposed");
    expect((await lab.relay.listForwards()).map(({ id, state }) => [id, state]).sort()).toEqual([
      ["added", "away"],
      ["listed", "away"],
      ["web", "open"],
    ]);
    attached.abort();
  });
});
