import { describe, expect, test } from "bun:test";
import { startAgent } from "../../src/roles/agent.ts";
import { startRelay } from "../../src/roles/relay.ts";
import { relayClient } from "../../src/servers/local/client.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { away, failureOf, local, mapping, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, tcpService, visit } from "../fixtures/services.ts";

const LONG_MS = 600_000;

describe("a relay that stops", () => {
  test("lets the open visit finish, and refuses new ones", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]));
    const staying = await visit(port);
    expect(await staying.ask("x")).toBe("web:x");
    const stopped = lab.relay.stop({ drainMs: LONG_MS });
    expect(await ask(port)).toBe("ECONNREFUSED");
    expect((await lab.relay.status()).draining).toBe(true);
    expect(await failureOf(agent.add(remote("late", [mapping("tcp", lab.pool[1]!)])))).toMatchObject({
      message: "The relay is shutting down; it opens no more forwards.",
    });
    expect(await staying.ask("y")).toBe("web:y");
    staying[Symbol.dispose]();
    await stopped;
    await lab.relay.closed;
  });

  test("cuts what is open at the second call, and is closed then", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]));
    using staying = await visit(port);
    expect(await staying.ask("x")).toBe("web:x");
    const down = agent.link("disconnected");
    const first = lab.relay.stop({ drainMs: LONG_MS });
    const second = lab.relay.stop();
    await Promise.all([first, second, lab.relay.closed]);
    expect(await staying.ended).toBe("reset");
    await down;
    expect(await ask(lab.relay.ready.listen.port)).toBe("ECONNREFUSED");
    expect(await Bun.file(`${lab.relayDirectory}/relay.sock`).exists()).toBe(false);
  });
});

describe("an agent that stops", () => {
  test("lets open visits finish, and refuses new ones", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const [here] = await freePorts(1);
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]), true);
    const own = local("own", {
      type: "direct",
      via: { kind: "here" },
      ports: [mapping("tcp", here!, here!, service.port)],
    });
    await agent.add(own);
    const visitors = [await visit(port), await visit(here!)];
    for (const visitor of visitors) expect(await visitor.ask("x")).toBe("web:x");
    const stopped = agent.stop(LONG_MS);
    await until(async () => (await ask(here!)) === "ECONNREFUSED");
    expect(await ask(port)).toBe("cut");
    for (const visitor of visitors) expect(await visitor.ask("y")).toBe("web:y");
    for (const visitor of visitors) visitor[Symbol.dispose]();
    await stopped;
    await agent.running.closed;
    await away(lab, "web1");
    // What lasts stays reserved.
    expect((await lab.relay.listForwards()).map(({ id, state }) => [id, state])).toEqual([["web", "away"]]);
  });

  test("cuts what is open at the second call", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]));
    using staying = await visit(port);
    expect(await staying.ask("x")).toBe("web:x");
    await Promise.all([agent.stop(LONG_MS), agent.stop(LONG_MS), agent.running.closed]);
    expect(await staying.ended).toBe("reset");
    expect(await Bun.file(`${lab.directoryOf("web1")}/agent.sock`).exists()).toBe(false);
  });
});

test("a process whose relay and agent have stopped has nothing left to wait for", async () => {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/../fixtures/start-and-stop.ts`], { stderr: "pipe" });
  expect(await child.stdout.text()).toBe("web:hello\n");
  expect(await child.stderr.text()).toBe("");
  expect(await child.exited).toBe(0);
}, 20_000);

describe("a start that cannot be", () => {
  test("of a second relay in one directory touches nothing of the first", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", lab.pool[0]!)]));
    const second = startRelay({ dataDir: lab.relayDirectory, readSettings: () => Promise.resolve(lab.relaySettings) });
    expect(await failureOf(second)).toMatchObject({
      kind: "usage",
      message: `The relay of ${lab.relayDirectory} is already running: stop it first, or name another directory with --data.`,
    });
    expect((await lab.relay.listForwards())[0]?.leaseEndsMs).toBeNull();
    expect((await relayClient(`${lab.relayDirectory}/relay.sock`).status()).role).toBe("relay");
  });

  test("of a second agent in one directory", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    const second = startAgent({
      dataDir: lab.directoryOf("web1"),
      joinCode: null,
      readSettings: () => Promise.resolve(agent.settings),
      runListed: true,
    });
    expect(await failureOf(second)).toMatchObject({
      kind: "usage",
      message: expect.stringContaining("already running"),
    });
    expect((await agent.running.status()).link).toBe("up");
  });

  test("of a relay whose agent port is taken leaves nothing open", async () => {
    await using lab = await rolesLab();
    const { port } = lab.relay.ready.listen;
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", lab.pool[0]!)]));
    const away = agent.link("disconnected");
    await lab.relay.stop({ drainMs: 0 });
    await away;
    const settings = { ...lab.relaySettings, listen: { host: "127.0.0.1", port } };
    const taken = Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } });
    const start = () => startRelay({ dataDir: lab.relayDirectory, readSettings: () => Promise.resolve(settings) });
    const message = `TCP port ${port} is in use on 127.0.0.1; stop the program that has it or choose another port.`;
    expect(await failureOf(start())).toMatchObject({ kind: "failed", message });
    expect(await ask(lab.pool[0]!)).toBe("ECONNREFUSED");
    taken.stop(true);
    const relay = await start();
    expect((await relay.listForwards()).map(({ id }) => id)).toEqual(["web"]);
    await relay.stop({ drainMs: 0 });
  });

  test("of a relay whose database is damaged names the file", async () => {
    await using lab = await rolesLab();
    await lab.relay.stop({ drainMs: 0 });
    await Bun.write(
      `${lab.relayDirectory}/hatchway.db`,
      "not a database, but long enough to be read as one".repeat(100),
    );
    const start = startRelay({ dataDir: lab.relayDirectory, readSettings: () => Promise.resolve(lab.relaySettings) });
    expect(await failureOf(start)).toMatchObject({
      name: "ControlError",
      kind: "failed",
      message: expect.stringContaining("damaged"),
    });
  });

  test("while certificate checks are switched off", async () => {
    await using lab = await rolesLab();
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      const message = "NODE_TLS_REJECT_UNAUTHORIZED=0 switches certificate checks off: unset it and start again.";
      const readSettings = () => Promise.reject(new Error("not read"));
      const relay = startRelay({ dataDir: `${lab.relayDirectory}2`, readSettings });
      expect(await failureOf(relay)).toMatchObject({ kind: "usage", message });
      const agent = startAgent({ dataDir: lab.directoryOf("x"), joinCode: null, readSettings, runListed: true });
      expect(await failureOf(agent)).toMatchObject({ kind: "usage", message });
    } finally {
      if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
    }
  });
});
