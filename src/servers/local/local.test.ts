import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agentClient, isRunning, relayClient } from "./client.ts";
import { type AttachEvent, ControlError, type ForwardSpec } from "./control.ts";
import { exposeSpec, FakeAgent, FakeRelay } from "./fake-control.ts";
import { acquireLock } from "./lock.ts";
import { serveAgentControl, serveRelayControl } from "./server.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-local-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const freshDirectory = () => join(root, `d${directories++}`);

function unexpected(): { readonly errors: unknown[]; readonly onUnexpected: (error: unknown) => void } {
  const errors: unknown[] = [];
  return { errors, onUnexpected: (error) => errors.push(error) };
}

async function rejection(promise: Promise<unknown>): Promise<ControlError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ControlError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

async function take(events: AsyncIterator<AttachEvent>, count: number): Promise<AttachEvent[]> {
  const taken: AttachEvent[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

describe("relay over its socket", () => {
  test("is given to another server of the same name, which outlives it", async () => {
    const path = join(freshDirectory(), "relay.sock");
    const first = serveRelayControl(new FakeRelay(), { path, ...unexpected() });
    first.release();
    const second = serveRelayControl(new FakeRelay(), { path, ...unexpected() });
    await first.close();
    expect((await relayClient(path).listDevices()).length).toBe(1);
    expect(acquireLock(`${path}.lock`)).toBeNull();
    await second.close();
  });

  test("every call answers what the relay answers", async () => {
    const path = join(freshDirectory(), "relay.sock");
    const relay = new FakeRelay();
    const server = serveRelayControl(relay, { path, ...unexpected() });
    const client = relayClient(path);
    expect(await client.status()).toEqual(await relay.status());
    expect(await client.listForwards()).toEqual(await relay.listForwards());
    expect(await client.listDevices()).toEqual(await relay.listDevices());
    expect(await client.createJoinCode({ name: "den", lifetimeSec: 60 })).toBe("code-for-den");
    expect(await client.listPeople()).toEqual(await relay.listPeople());
    expect(await client.invitePerson({ role: "viewer", account: "owner", lifetimeSec: 60 })).toBe(
      "/invite#viewer-owner-60",
    );
    expect(await client.resetPerson({ name: "ada", lifetimeSec: 60 })).toBe("/reset#60/ada");
    expect(await client.changePerson({ name: "ada", role: "user", disabled: true })).toMatchObject({
      role: "user",
      disabled: true,
    });
    expect((await client.removePerson("ada")).name).toBe("ada");
    const token = { person: "ada", name: "ci", scope: "read", lifetimeSec: 60 } as const;
    expect((await client.makeToken(token)).secret).toBe("secret-of-ci");
    expect(await client.listTokens({ person: "ada" })).toEqual(relay.tokens);
    expect((await client.removeToken({ person: "ada", nameOrId: "ci" })).name).toBe("ci");
    expect((await client.revokeDevice("den")).revoked).toBe(true);
    expect(await client.reload()).toEqual(await relay.reload());
    expect(await client.visits()).toEqual([]);
    const page = { afterId: 1, sinceMs: 0, limit: 1 };
    expect(await client.audit(page)).toEqual(await relay.audit(page));
    expect(await client.handOver()).toBe(await relay.handOver());
    await client.declineUpgrade("Line 3 is wrong.");
    expect(relay.declined).toEqual(["Line 3 is wrong."]);
    expect(await client.upgrade({ program: ["hatchway"] })).toMatchObject({ pid: 2, version: "0.2.0" });
    expect(relay.upgrades).toEqual([{ program: ["hatchway"] }]);
    await server.close();
  });

  test("a ControlError keeps its kind and sentence", async () => {
    const path = join(freshDirectory(), "relay.sock");
    const server = serveRelayControl(new FakeRelay(), { path, ...unexpected() });
    const error = await rejection(relayClient(path).revokeDevice("nobody"));
    expect([error.kind, error.message]).toEqual(["usage", "No device is called nobody."]);
    await server.close();
  });

  test("an unexpected exception is told to the process and answered as failed", async () => {
    const path = join(freshDirectory(), "relay.sock");
    const seen = unexpected();
    const relay = new FakeRelay();
    relay.visits = () => Promise.reject(new TypeError("boom"));
    const server = serveRelayControl(relay, { path, ...seen });
    const error = await rejection(relayClient(path).visits());
    expect([error.kind, error.message]).toEqual(["failed", "Unexpected error: boom"]);
    expect(seen.errors).toHaveLength(1);
    await server.close();
  });

  test("what a stranger might send gets a sentence", async () => {
    const path = join(freshDirectory(), "relay.sock");
    const server = serveRelayControl(new FakeRelay(), { path, ...unexpected() });
    const send = async (url: string, method: string, body: string | null) => {
      const response = await fetch(`http://hatchway${url}`, { unix: path, method, body });
      return [response.status, ((await response.json()) as { kind: string }).kind];
    };
    expect(await send("/v1/nothing", "POST", "{}")).toEqual([404, "usage"]);
    expect(await send("/v1/status", "GET", null)).toEqual([404, "usage"]);
    expect(await send("/v1/status", "POST", "{")).toEqual([400, "usage"]);
    expect(await send("/v1/status", "POST", '{"extra":1}')).toEqual([400, "usage"]);
    expect(await send("/v1/createJoinCode", "POST", '{"name":7}')).toEqual([400, "usage"]);
    await server.close();
  });
});

describe("the socket's file", () => {
  test("only its owner may open it", async () => {
    const directory = freshDirectory();
    const path = join(directory, "relay.sock");
    const server = serveRelayControl(new FakeRelay(), { path, ...unexpected() });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await server.close();
  });

  test("a second process of the same directory is told so, and a closed one frees the name", async () => {
    const path = join(freshDirectory(), "agent.sock");
    const first = serveAgentControl(new FakeAgent(), { path, ...unexpected() });
    expect(await isRunning("agent", path)).toBe(true);
    expect(() => serveAgentControl(new FakeAgent(), { path, ...unexpected() })).toThrow(/already running/);
    await first.close();
    expect(await isRunning("agent", path)).toBe(false);
    const second = serveAgentControl(new FakeAgent(), { path, ...unexpected() });
    expect(await isRunning("agent", path)).toBe(true);
    await second.close();
  });

  test("the socket of a killed process is replaced", async () => {
    const directory = freshDirectory();
    const path = join(directory, "agent.sock");
    const program = `
      import { FakeAgent } from "${import.meta.dir}/fake-control.ts";
      import { serveAgentControl } from "${import.meta.dir}/server.ts";
      serveAgentControl(new FakeAgent(), { path: ${JSON.stringify(path)}, onUnexpected() {} });
      process.stdout.write("open\\n");`;
    const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
    await child.stdout.getReader().read();
    expect(await isRunning("agent", path)).toBe(true);
    child.kill("SIGKILL");
    await child.exited;
    const server = serveAgentControl(new FakeAgent(), { path, ...unexpected() });
    expect((await agentClient(path).status()).role).toBe("agent");
    await server.close();
  });

  test("a path beyond sun_path's 108 bytes works or is refused in one sentence", async () => {
    const path = join(freshDirectory(), "x".repeat(150), "agent.sock");
    const server = serveAgentControl(new FakeAgent(), { path, ...unexpected() });
    expect((await agentClient(path).status()).role).toBe("agent");
    await server.close();
  });

  test("a directory that cannot be made is a sentence", () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    const path = join(file, "data", "agent.sock");
    expect(() => serveAgentControl(new FakeAgent(), { path, ...unexpected() })).toThrow(/cannot be made/);
  });

  test("no relay, and a directory without one", async () => {
    const error = await rejection(relayClient(join(root, "none", "relay.sock")).status());
    expect(error.kind).toBe("unreachable");
    expect(error.message).toContain("hatchway serve");
  });
});

test("a lock is one process's at a time", () => {
  const path = join(root, "lock");
  const held = acquireLock(path);
  expect(acquireLock(path)).toBeNull();
  held?.release();
  const again = acquireLock(path);
  expect(again).not.toBeNull();
  again?.release();
});

describe("attach", () => {
  const specs: ForwardSpec[] = [exposeSpec("web", 8080)];

  test("events arrive, and leaving the iteration withdraws the forwards", async () => {
    const path = join(freshDirectory(), "agent.sock");
    const agent = new FakeAgent();
    const server = serveAgentControl(agent, { path, ...unexpected() });
    const events = agentClient(path).attach(specs, new AbortController().signal)[Symbol.asyncIterator]();
    const [first, second] = await take(events, 2);
    expect(first).toMatchObject({ event: "exposed", endpoints: [{ protocol: "tcp", port: 8080 }] });
    expect(second).toMatchObject({ event: "counters" });
    expect(agent.attached).toEqual(["web"]);
    await events.return?.();
    await agent.allWithdrawn();
    await server.close();
  });

  test("an abort ends it quietly", async () => {
    const path = join(freshDirectory(), "agent.sock");
    const agent = new FakeAgent();
    const server = serveAgentControl(agent, { path, ...unexpected() });
    const ctrlC = new AbortController();
    const seen: string[] = [];
    for await (const event of agentClient(path).attach(specs, ctrlC.signal)) {
      seen.push(event.event);
      ctrlC.abort();
    }
    expect(seen).toEqual(["exposed"]);
    await agent.allWithdrawn();
    await server.close();
  });

  test("kill -9 of the client withdraws its forwards", async () => {
    const path = join(freshDirectory(), "agent.sock");
    const agent = new FakeAgent();
    const server = serveAgentControl(agent, { path, ...unexpected() });
    const program = `
      import { agentClient } from "${import.meta.dir}/client.ts";
      const specs = ${JSON.stringify(specs)};
      for await (const event of agentClient(${JSON.stringify(path)}).attach(specs, new AbortController().signal))
        process.stdout.write(event.event + "\\n");`;
    const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
    await child.stdout.getReader().read();
    expect(agent.attached).toEqual(["web"]);
    child.kill("SIGKILL");
    await agent.allWithdrawn();
    await child.exited;
    await server.close();
  });

  test("the agent's end and its refusal reach the client", async () => {
    const path = join(freshDirectory(), "agent.sock");
    const agent = new FakeAgent();
    const server = serveAgentControl(agent, { path, ...unexpected() });
    const client = agentClient(path);
    agent.failAttach = new ControlError("refused", "Not today.");
    const refused = client.attach(specs, new AbortController().signal)[Symbol.asyncIterator]();
    expect((await rejection(refused.next())).message).toBe("Not today.");
    agent.failAttach = null;
    const events = client.attach(specs, new AbortController().signal)[Symbol.asyncIterator]();
    await take(events, 1);
    const ended = rejection(take(events, 1_000));
    await server.close();
    expect((await ended).kind).toBe("unreachable");
  });

  test("a spec that is none is refused by name", async () => {
    const path = join(freshDirectory(), "agent.sock");
    const server = serveAgentControl(new FakeAgent(), { path, ...unexpected() });
    const events = agentClient(path).attach([{ kind: "remote" } as ForwardSpec], new AbortController().signal);
    const error = await rejection(events[Symbol.asyncIterator]().next());
    expect(error.kind).toBe("usage");
    await server.close();
  });
});
