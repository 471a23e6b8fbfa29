import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Child } from "./child.ts";
import { type Home, run, type Site, startAgent, startOther, startRelay, startSite, status } from "./hatchway.ts";
import { curl, startNginx } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** Whatever breaks, the service is back by itself on the same port, and no one else gets the port meanwhile. */
const PORT = 18080;
/** Reconnecting backs off to 30 s at most; a silent link is found after three pings of 10 s. */
const BACK_WITHIN_MS = 45_000;
const SILENCE_SEEN_WITHIN_MS = 45_000;
const AGENT_TOML = `[[expose]]\nports = 8080\nas = ${PORT}\n`;
let lab: Lab;
let site: Site;
let web: Child;
let other: { home: Home; child: Child };

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { agent: AGENT_TOML });
  other = await startOther(lab, site);
  web = await startNginx(lab, lab.agent, 8080, "still here");
  await isBack();
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

async function isBack(): Promise<void> {
  await eventually(
    "the page through the relay",
    async () => {
      const { stdout } = await curl(
        lab,
        lab.visitor,
        "--connect-timeout",
        "1",
        "-m",
        "2",
        `http://${lab.relay.v4}:${PORT}/`,
      );
      return stdout === "still here" ? true : undefined;
    },
    BACK_WITHIN_MS,
  );
}

async function portIsHeld(): Promise<void> {
  const { exitCode, stderr } = await run(lab, other.home, "expose", "9090", "--as", `${PORT}`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`${PORT}`);
  expect(stderr).toContain("attic");
}

describe("back by itself, on the same port", () => {
  test("after kill -9 of the relay", async () => {
    await site.relay.kill();
    site.relay = await startRelay(lab, site.relayHome);
    await isBack();
    await portIsHeld();
  }, 60_000);

  test("after kill -9 of the agent; its port is reserved meanwhile", async () => {
    await site.agent.kill();
    await portIsHeld();
    site.agent = await startAgent(lab, site.agentHome);
    await isBack();
  }, 60_000);

  test("after the line was cut", async () => {
    lab.unplug();
    lab.plugIn();
    await isBack();
  }, 60_000);

  test("after a link that went silent, once both sides have noticed", async () => {
    lab.blackhole();
    await eventually(
      "the relay misses both devices",
      async () => ((await status(lab, site.relayHome)).devicesConnected === 0 ? true : undefined),
      SILENCE_SEEN_WITHIN_MS,
    );
    await eventually(
      "the agent misses the relay",
      async () => ((await status(lab, site.agentHome)).link !== "up" ? true : undefined),
      SILENCE_SEEN_WITHIN_MS,
    );
    lab.restore();
    await isBack();
    await eventually(
      "the other device is back",
      async () => ((await status(lab, other.home)).link === "up" ? true : undefined),
      BACK_WITHIN_MS,
    );
    await portIsHeld();
  }, 120_000);

  test("after the agent's address changed", async () => {
    lab.moveAgent(9);
    await isBack();
  }, 60_000);

  test("and the service's own restart needs nothing", async () => {
    await web.kill();
    web = await startNginx(lab, lab.agent, 8080, "still here");
    await isBack();
  }, 60_000);

  test("nobody can join or look while the relay is gone: exit code 4", async () => {
    await site.relay.kill();
    const { exitCode, stderr } = await run(lab, site.relayHome, "status");
    expect(exitCode).toBe(4);
    expect(stderr).not.toBe("");
    site.relay = await startRelay(lab, site.relayHome);
    await isBack();
  }, 60_000);
});
