import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { type Finding, fine } from "../../core/doctor/model.ts";
import { dataPaths } from "../../os/paths.ts";
import { VERSION } from "../../os/version.ts";
import { ControlError } from "../../servers/local/error.ts";
import { exposeSpec, FakeAgent, FakeRelay } from "../../servers/local/fake-control.ts";
import { type LocalServer, serveAgentControl, serveRelayControl } from "../../servers/local/server.ts";
import type { AgentStatus, DoctorEvent, InspectRouter } from "../control.ts";
import { doctorWith } from "../doctor.ts";
import type { Check } from "./checks.ts";
import { CHECKS, examine } from "./examine.ts";
import { openWorld } from "./world.ts";

const blocked: InspectRouter = async () => ({
  v: 1,
  routers: [],
  identity: null,
  protocols: [],
  externalAddress: null,
  seen: { v4: null, v6: null },
  stunServer: null,
  nat: null,
  uptimeSec: null,
  mappings: [],
  ignored: [],
  verdict: { kind: "blocked", cause: "no-protocol", sure: true, evidence: [], advice: ["Use a relay."] },
});

const servers: LocalServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

function optionsFor(path: string, signal = new AbortController().signal) {
  const configPath = join(path, "hatchway.toml");
  return { configPath, isConfigNamed: false, systemDir: null, isRoot: true, signal };
}

function worldAt(path: string, signal?: AbortSignal) {
  return openWorld({ paths: dataPaths(path), ...optionsFor(path, signal), inspectRouter: blocked });
}

async function findingsOf(events: AsyncIterable<DoctorEvent>): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const event of events) if (event.kind === "found") found.push(event.finding);
  return found;
}

async function examined(path: string): Promise<Record<string, Finding>> {
  const doctor = doctorWith(blocked)({ dataDir: path, ...optionsFor(path) });
  return Object.fromEntries((await findingsOf(doctor.examine())).map((one) => [one.id, one]));
}

const check = (id: string, look: Check["look"], limitMs?: number): Check => ({
  id,
  section: "machine",
  doing: `Looking at ${id}`,
  ...(limitMs === undefined ? {} : { limitMs }),
  look,
});
const never = () => new Promise<never>(() => {});

describe("one check after another", () => {
  test("one that throws, one that is refused an answer and one that takes too long stop none", async () => {
    await using directory = await temporaryDirectory();
    let aborted = false;
    const checks = [
      check("bug", () => Promise.reject(new TypeError("boom"))),
      check("refused", () => Promise.reject(new ControlError("refused", "It is another user's."))),
      check(
        "slow",
        (_world, signal) => {
          signal.addEventListener("abort", () => {
            aborted = true;
          });
          return never();
        },
        20,
      ),
      check("last", async () => fine("It is well.")),
    ];
    const found = await findingsOf(examine(worldAt(directory.path), checks));
    expect(found.map(({ id, state }) => [id, state])).toEqual([
      ["bug", "warning"],
      ["refused", "warning"],
      ["slow", "warning"],
      ["last", "ok"],
    ]);
    expect(found[0]?.remedy).toContain("report it");
    expect(found[1]).toMatchObject({ sentence: "Looking at refused failed: It is another user's.", remedy: null });
    expect(found[2]?.sentence).toContain("longer than 0.02 s");
    expect(aborted).toBe(true);
  });

  test("a stop ends the one that runs, at once, and makes no further one", async () => {
    await using directory = await temporaryDirectory();
    const stop = new AbortController();
    const checks = [
      check("stuck", () => {
        stop.abort();
        return never();
      }),
      check("last", async () => fine("It is well.")),
    ];
    expect(await findingsOf(examine(worldAt(directory.path, stop.signal), checks))).toEqual([]);
  });

  test("no two have the same id", () => {
    const ids = CHECKS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("a directory", () => {
  test("that is not there is not made, and what to do first is said", async () => {
    await using directory = await temporaryDirectory();
    const found = await examined(join(directory.path, "none"));
    expect(readdirSync(directory.path)).toEqual([]);
    expect(found["joined"]?.remedy).toContain("hatchway agent --join CODE");
    expect(found["router"]).toMatchObject({ state: "ok", remedy: "Use a relay." });
  });

  test("with files that are not what they should be", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    writeFileSync(join(path, "agent.json"), "{}", { mode: 0o600 });
    writeFileSync(join(path, "hatchway.db"), "this is no database at all", { mode: 0o600 });
    writeFileSync(join(path, "device-key.pem"), "x");
    chmodSync(join(path, "device-key.pem"), 0o640);
    writeFileSync(join(path, "hatchway.toml"), '[[map]]\nports = 80\nprot = "x"\n');
    const before = readdirSync(path);
    const found = await examined(path);
    expect(found).toMatchObject({
      joined: { state: "failure", sentence: expect.stringContaining("agent.json cannot be read") },
      store: { state: "failure" },
      "files:device-key.pem": { state: "failure" },
      config: { state: "failure", sentence: expect.stringContaining(":3:1:") },
    });
    expect(readdirSync(path)).toEqual(before);
  });

  test("that is a file", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "file");
    writeFileSync(path, "");
    expect((await examined(path))["directory"]).toMatchObject({ state: "failure" });
  });
});

/** Its link is down, and it may be of another version. */
class Away extends FakeAgent {
  constructor(readonly more: Partial<AgentStatus>) {
    super();
  }
  override async status(): Promise<AgentStatus> {
    return { ...(await super.status()), ...this.more };
  }
}

describe("what runs there is asked", () => {
  const serve = (path: string, agent: FakeAgent) =>
    servers.push(serveAgentControl(agent, { path: join(path, "agent.sock"), onUnexpected: () => {} }));

  test("an agent whose link is down, of another version, with the clock of its relay", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    const status = {
      version: "0.0.1",
      link: "down",
      message: "it was unplugged",
      relayTimeMs: Date.now() - 600_000,
    } as const;
    serve(path, new Away(status));
    const found = await examined(path);
    expect(found["roles"]).toMatchObject({ state: "warning", sentence: expect.stringContaining("0.0.1") });
    expect(found["link"]?.sentence).toContain("it was unplugged.");
    expect(found["clock"]?.sentence).toContain("10 minutes ahead");
    expect(found["relay-version"]?.state).toBe("skipped");
  });

  test("a relay of an older version, and a service that is dead: the check that would take its port is not asked", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = taken;
    taken.stop(true);
    const agent = new Away({ version: VERSION, relayVersion: "0.0.1" });
    let asked = 0;
    agent.check = async () => {
      asked++;
      throw new ControlError("failed", "not to be asked");
    };
    await agent.addForward(exposeSpec("web", port));
    serve(path, agent);
    const found = await examined(path);
    expect(found["service:web"]).toMatchObject({
      state: "failure",
      sentence: expect.stringContaining(`127.0.0.1:${port}/tcp`),
    });
    expect(found["relay-version"]).toMatchObject({ state: "warning" });
    expect(asked).toBe(0);
  });

  test("a service that answers is tried by the relay's port too", async () => {
    await using directory = await temporaryDirectory();
    using service = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const agent = new FakeAgent();
    agent.check = async (request) => {
      expect(request.target).toEqual({ kind: "name", name: "web" });
      const target = { protocol: "tcp", host: "r", port: 1, forward: "web" } as const;
      const dropped = {
        state: "filtered",
        hop: "relay",
        sure: true,
        rule: "r",
        sentence: "The relay drops it.",
        remedy: "Let it in.",
      } as const;
      return { v: 1, target, ...dropped, evidence: [] };
    };
    await agent.addForward(exposeSpec("web", service.port));
    serve(directory.path, agent);
    expect((await examined(directory.path))["service:web"]).toMatchObject({
      sentence: '"web" cannot be reached: the relay drops it.',
      remedy: "Let it in.",
    });
  });

  test("a relay that is no relay at its port; one that was set up and does not run", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    writeFileSync(join(path, "relay-cert.pem"), "");
    expect((await examined(path))["relay"]).toMatchObject({
      state: "failure",
      remedy: expect.stringContaining("hatchway serve"),
    });
    using other = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end("hello"), data() {} },
    });
    const relay = new FakeRelay();
    const status = await relay.status();
    relay.status = async () => ({ ...status, listen: `127.0.0.1:${other.port}`, publicHost: "127.0.0.1" });
    servers.push(serveRelayControl(relay, { path: join(path, "relay.sock"), onUnexpected: () => {} }));
    const found = await examined(path);
    expect(found["agent-port"]).toMatchObject({ state: "failure" });
    expect(found["public-address"]).toMatchObject({ state: "warning" });
    expect(found["joined"]).toMatchObject({ state: "skipped" });
  });
});

test("the report holds no name that the fakes have, and what they tell", async () => {
  await using directory = await temporaryDirectory();
  const { path } = directory;
  mkdirSync(join(path, "annas-notes"));
  const agent = new Away({ name: "annas-keller", relay: "annas-relay:7744" });
  await agent.addForward(exposeSpec("annas-web", 8_080));
  servers.push(serveAgentControl(agent, { path: join(path, "agent.sock"), onUnexpected: () => {} }));
  writeFileSync(join(path, "hatchway.toml"), '[agent]\nname = "annas-keller"\nca = "annas.pem"\n');
  const doctor = doctorWith(blocked)({ dataDir: path, ...optionsFor(path) });
  const report = await doctor.report(await findingsOf(doctor.examine()), "json");
  expect(report).not.toContain("annas");
  expect(JSON.parse(report)).toMatchObject({
    v: 1,
    sections: { agent: { name: "device-1", link: "up" }, forwards: [{ name: "forward-1" }] },
  });
});
