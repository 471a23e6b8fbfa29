import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { forwards, open, run, type Site, startAgent, startRelay, startSite, status, writeConfig } from "./hatchway.ts";
import { curl, startNginx, startService, startVisitor, type VisitEnd, visit } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** Changes and ends of a running relay and agent, seen by the visitors that are there. */
const KEPT = `[[expose]]\nports = 7001\nname = "kept"\n`;
const ADDED = `[[expose]]\nports = "17002:7001"\nname = "added"\n`;
let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { relay: "[relay]\n", agent: KEPT });
  await startService(lab, lab.agent, "echo:tcp:7001");
  await startNginx(lab, lab.agent, 8080, "page");
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

const talks = async (port: number): Promise<boolean> => {
  const { stdout } = await lab.exec(lab.visitor, [
    "sh",
    "-c",
    `echo hi | socat -t10 -T10 - TCP:${lab.relay.v4}:${port}`,
  ]);
  return stdout === "hi";
};

describe("SIGHUP", () => {
  test("opens and closes what changed in the agent's config, and keeps connections", async () => {
    await using visitor = startVisitor(lab, lab.visitor, "keep", lab.relay.v4, 7001);
    await visitor.event("started");
    writeConfig(site.agentHome, KEPT + ADDED);
    site.agent.signal("SIGHUP");
    await eventually("the added port", async () => ((await talks(17002)) ? true : undefined));
    writeConfig(site.agentHome, KEPT);
    site.agent.signal("SIGHUP");
    await eventually("the added port closed", async () => ((await talks(17002)) ? undefined : true));
    visitor.signal("SIGTERM");
    expect(await visitor.event<object>("done")).toMatchObject({ whole: true, error: null });
  }, 30_000);

  test("of a config that is wrong changes nothing", async () => {
    await using visitor = startVisitor(lab, lab.visitor, "keep", lab.relay.v4, 7001);
    await visitor.event("started");
    writeConfig(site.agentHome, "[[expose]]\nprots = 7001\n");
    site.agent.signal("SIGHUP");
    await eventually("the mistake in the log", () =>
      site.agent.stderr.join("\n").includes("prots") ? true : undefined,
    );
    writeConfig(site.agentHome, KEPT);
    expect(await talks(7001)).toBe(true);
    visitor.signal("SIGTERM");
    expect(await visitor.event<object>("done")).toMatchObject({ whole: true, error: null });
  }, 30_000);

  test("of the relay keeps devices and connections", async () => {
    await using visitor = startVisitor(lab, lab.visitor, "keep", lab.relay.v4, 7001);
    await visitor.event("started");
    writeConfig(site.relayHome, '[relay]\nallow = ["203.0.113.0/24"]\n');
    site.relay.signal("SIGHUP");
    await using _ = await startNginx(lab, lab.visitor, 8088, "allowed now");
    await using __ = await open(lab, site.agentHome, "connect", "-L", `5088:${lab.visitor.v4}:8088`);
    await eventually("what the relay now allows", async () =>
      (await curl(lab, lab.agent, "http://127.0.0.1:5088/")).stdout === "allowed now" ? true : undefined,
    );
    visitor.signal("SIGTERM");
    expect(await visitor.event<object>("done")).toMatchObject({ whole: true, error: null });
  }, 30_000);
});

describe("forward add and rm", () => {
  test("last over a restart, and touch no other forward's connections", async () => {
    await using visitor = startVisitor(lab, lab.visitor, "keep", lab.relay.v4, 7001);
    await visitor.event("started");
    const added = await run(lab, site.agentHome, "forward", "add", "8080", "--as", "17003", "--name", "pages");
    expect(added.exitCode).toBe(0);
    expect((await curl(lab, lab.visitor, `http://${lab.relay.v4}:17003/`)).stdout).toBe("page");
    visitor.signal("SIGTERM");
    expect(await visitor.event<object>("done")).toMatchObject({ whole: true, error: null });

    await site.agent.kill();
    site.agent = await startAgent(lab, site.agentHome);
    await eventually("the added forward after kill -9", async () =>
      (await curl(lab, lab.visitor, `http://${lab.relay.v4}:17003/`)).stdout === "page" ? true : undefined,
    );
    expect((await forwards(lab, site.agentHome)).map(({ name }) => name).sort()).toEqual(["kept", "pages"]);
    expect((await run(lab, site.agentHome, "forward", "rm", "pages")).exitCode).toBe(0);
    expect((await curl(lab, lab.visitor, `http://${lab.relay.v4}:17003/`)).exitCode).toBe(7);
  }, 30_000);
});

describe("SIGTERM", () => {
  test("drains the relay: who is there may finish, who comes is refused", async () => {
    await using visitor = startVisitor(lab, lab.visitor, "keep", lab.relay.v4, 7001);
    await visitor.event("started");
    site.relay.signal("SIGTERM");
    await eventually("new visitors refused", async () => {
      const end = await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, 7001, "x");
      return end.error === "ECONNREFUSED" || end.error === "ECONNRESET" ? true : undefined;
    });
    visitor.signal("SIGTERM");
    expect(await visitor.event<object>("done")).toMatchObject({ whole: true, error: null });
    expect(await site.relay.exited).toBe(0);
    site.relay = await startRelay(lab, site.relayHome);
    await eventually("the service again", async () => ((await talks(7001)) ? true : undefined), 45_000);
  }, 90_000);

  test("ends the agent in order, and its ports stay its own", async () => {
    site.agent.signal("SIGTERM");
    expect(await site.agent.exited).toBe(0);
    expect((await forwards(lab, site.relayHome)).find(({ name }) => name === "kept")).toMatchObject({ state: "away" });
    site.agent = await startAgent(lab, site.agentHome);
    await eventually("the service again", async () => ((await talks(7001)) ? true : undefined));
    expect((await status(lab, site.relayHome)).devicesConnected).toBe(1);
  }, 30_000);
});
