import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Client } from "../../src/servers/api/client.ts";
import { relayClient } from "../../src/servers/local/client.ts";
import { type ConsoleReady, firstAdmin } from "./api-kit.ts";
import type { Child } from "./child.ts";
import { browserAt } from "./desk.ts";
import { joinCode, open, query, run, type Site, startOther, startSite, status } from "./hatchway.ts";
import { startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** Who else uses a relay while it is upgraded in place: programs at its API, and devices that dial each other. */
const PORT = 7001;
const LOCAL_PORT = 6001;
const RELAY =
  '[relay]\nupgrade-drain = "10s"\n[console]\nlisten = "127.0.0.1:7780"\n[metrics]\nlisten = "127.0.0.1:9464"\n[check]\nlisten = "*:7781"\n';
/** Each by a new connection. Browsers connect before they ask; STUN has its own pace, as it answers a source so often and no more. */
const ASKED = [
  "api=http://127.0.0.1:7780/v1/setup",
  "api-late@300=http://127.0.0.1:7780/v1/setup",
  "metrics=http://127.0.0.1:9464/metrics",
  "check=http://127.0.0.1:7781/",
];
const PACE_MS = 25;
const STUN_PACE_MS = 250;
/** What a page does beside its own: by the connections that the browser keeps. Gives how often each thing happened. */
const PAGE_ASKS = `(async () => {
  const outcomes = {};
  while (window.hasAsked !== true) {
    const how = await fetch("/v1/setup", { cache: "no-store" }).then(async (response) => (await response.text(), response.status), String);
    outcomes[how] = (outcomes[how] ?? 0) + 1;
    await new Promise((resolve) => setTimeout(resolve, ${PACE_MS}));
  }
  return outcomes;
})()`;
const AGENT = `[agent]\nallow = ["127.0.0.1:${PORT}"]\n[[expose]]\nports = ${PORT}\n`;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"];
const peer = (name: string) => join(import.meta.dir, `peers/${name}.ts`);
let lab: Lab;
let site: Site;
let ready: ConsoleReady;
let ann: Client;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { relay: RELAY, agent: AGENT });
  await startService(lab, lab.agent, `echo:tcp:${PORT}`);
  ready = (await site.relay.event<{ console: ConsoleReady }>("ready")).console;
  ann = await firstAdmin(lab, lab.relay, ready);
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

const pidOf = async () => (await status(lab, site.relayHome)).pid;
const upgrade = () => query<{ pid: number }>(lab, site.relayHome, "relay", "upgrade");
/** By another program than this one. Rejects with what the relay says. */
const upgradeTo = (...program: readonly string[]) =>
  relayClient(join(site.relayHome.data, "relay.sock")).upgrade({ program });

/** Visitors from a machine of the lab, as peers/upgrade-visitor.ts tells. */
async function startVisitors(host: Lab["other"], to: string, port: number): Promise<Child> {
  const child = lab.spawn(host, [...BUN, peer("upgrade-visitor"), to, `${port}`, "10", "20"]);
  await child.event("flowing");
  return child;
}
async function expectUnharmed(visitors: Child): Promise<void> {
  visitors.signal("SIGTERM");
  expect(await visitors.event("done")).toMatchObject({ streams: 10, broken: 0, gaps: 0, failed: 0, why: [] });
}

describe("during an upgrade in place", () => {
  test("a program at the API is answered, or told to ask again; what it was told is stored is", async () => {
    const { secret } = await ann.makeToken({ name: "asker", scopes: ["all"], lifetimeSec: null });
    await using asker = lab.spawn(lab.relay, [...BUN, peer("api-asker"), ready.url, secret]);
    await asker.event("asking");
    const { pid } = await upgrade();
    asker.signal("SIGTERM");
    const { outcomes, stored } = await asker.event<{ outcomes: Record<string, number>; stored: string[] }>("done");
    const known = ["GET 200", "POST 201", "POST 503 after 1"];
    expect(Object.keys(outcomes).filter((outcome) => !known.includes(outcome))).toEqual([]);
    expect(outcomes["POST 503 after 1"]).toBeGreaterThan(0);
    const { stdout } = await run(lab, site.relayHome, "audit", "--json");
    const names = [...stdout.matchAll(/"deviceName":"(asker-\d+)"/g)].map(([, name]) => name ?? "");
    // Both ways: nothing that was promised is lost, and nothing was done that nobody was told of.
    expect(names.toSorted()).toEqual(stored.toSorted());
    expect(await pidOf()).toBe(pid);
  }, 40_000);

  test("nobody who asks the console, the metrics, the check page or STUN is refused, reset or left without an answer", async () => {
    const ask = (...args: readonly (string | number)[]) =>
      lab.spawn(lab.relay, [...BUN, peer("port-asker"), ...args.map(String)]);
    await using askers = ask(PACE_MS, ...ASKED);
    await using ofStun = ask(STUN_PACE_MS, `stun=stun://${lab.relay.v4}:7744`, `stun-2=stun://${lab.relay.v4}:7745`);
    await Promise.all([askers.event("asking"), ofStun.event("asking")]);
    for (let count = 0; count < 2; count++) await upgrade();
    for (const child of [askers, ofStun]) {
      child.signal("SIGTERM");
      const { ports } = await child.event<{ ports: Record<string, { others: object; answered: number }> }>("done");
      for (const [name, { others, answered }] of Object.entries(ports)) {
        expect([name, others, answered > 0]).toEqual([name, {}, true]);
      }
    }
  }, 40_000);

  test("a stream of events ends in order, for its reader to begin another", async () => {
    const { secret } = await ann.makeToken({ name: "follower", scopes: ["read"], lifetimeSec: null });
    const begun = join(lab.directory, "begun");
    const events = ["curl", "-sSN", "-o", begun, "-H", `authorization: Bearer ${secret}`, `${ready.url}/v1/events`];
    const followed = lab.exec(lab.relay, events);
    await eventually("the stream", () => (existsSync(begun) && statSync(begun).size > 0 ? true : undefined));
    await upgrade();
    // 18 would be a transfer that was cut.
    expect(await followed).toMatchObject({ exitCode: 0, stderr: "" });
  }, 30_000);

  test("a page of the console that is open goes on: each request is answered, and it shows what is there then", async () => {
    const executablePath = await browserAt(lab, lab.relay);
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(15_000);
      await page.goto(`${ready.url}/devices`);
      await page.getByLabel("Name").fill("ann");
      await page.getByLabel("Password").fill("correct horse battery");
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await page.getByRole("link", { name: "Devices" }).click();
      const attic = page.getByRole("row").filter({ hasText: "attic" });
      await attic.getByText("Connected").waitFor();
      const failed: string[] = [];
      page.on("requestfailed", (request) => failed.push(`${request.url()}: ${request.failure()?.errorText}`));
      // Beside what the page asks by itself; by the connections that the browser keeps.
      const asking = page.evaluate<Record<string, number>>(PAGE_ASKS);
      const again = page.waitForRequest((request) => request.url().endsWith("/v1/events"));
      await upgrade();
      await again;
      await page.evaluate("window.hasAsked = true");
      expect(Object.keys(await asking)).toEqual(["200"]);
      await attic.getByText("Connected").waitFor();
      await page.getByLabel("Name of the device").fill("cellar");
      await page.getByRole("button", { name: "Make a join command" }).click();
      await page.getByText(/^hatchway agent/).waitFor();
      // The page itself lets go of the stream that has ended.
      expect(failed.filter((why) => !why.endsWith("/v1/events: net::ERR_ABORTED"))).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 60_000);

  test("a device reaches another through it: no stream is cut, no dial fails", async () => {
    const { home } = await startOther(lab, site);
    const to = `${LOCAL_PORT}:127.0.0.1:${PORT}`;
    await using _ = await open(lab, home, "connect", "-L", to, "--via", "agent:attic");
    await using visitors = await startVisitors(lab.other, "127.0.0.1", LOCAL_PORT);
    await upgrade();
    await upgrade();
    await expectUnharmed(visitors);
  }, 60_000);

  test("a second one is told so in one sentence", async () => {
    const refused = await eventually(
      "two upgrades that met",
      async () => {
        const both = await Promise.all([1, 2].map(() => run(lab, site.relayHome, "relay", "upgrade")));
        const [first, ...others] = both.filter(({ exitCode }) => exitCode !== 0);
        expect(others).toEqual([]);
        return first;
      },
      30_000,
    );
    expect(refused).toMatchObject({
      exitCode: 1,
      stderr: "hatchway: Another process is taking over already: try again when it has.",
    });
  }, 60_000);
});

describe("an upgrade to a program", () => {
  test.each([
    ["that is not there", ["/nowhere/hatchway"], /^The program could not be started: .*\/nowhere\/hatchway/],
    ["that ends at once", ["sh", "-c", "exit 7"], /exit code 7.*goes on as it was\.$/],
    ["that is killed", ["sh", "-c", "kill -SEGV $$"], /exit code 139.*goes on as it was\.$/],
  ])(
    "%s is told why, and the relay goes on",
    async (_what, program, sentence) => {
      const before = await pidOf();
      await using visitors = await startVisitors(lab.visitor, lab.relay.v4, PORT);
      await expect(upgradeTo(...program)).rejects.toThrow(sentence);
      expect(await pidOf()).toBe(before);
      await expectUnharmed(visitors);
    },
    20_000,
  );

  // The last one: the database stays at the newer version (docs/decisions/0039).
  test("that brings the database to its version and fails then: the relay goes on, and wants that version afterwards", async () => {
    const before = await pidOf();
    await using visitors = await startVisitors(lab.visitor, lab.relay.v4, PORT);
    await expect(upgradeTo(...BUN, peer("migrating-successor"))).rejects.toThrow(/goes on as it was\.$/);
    expect(await pidOf()).toBe(before);
    await joinCode(lab, site.relayHome, "later");
    await expectUnharmed(visitors);
    const again = await run(lab, site.relayHome, "relay", "upgrade");
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/newer Hatchway.*update the program/) });
    await joinCode(lab, site.relayHome, "later still");
    expect(await pidOf()).toBe(before);
  }, 40_000);
});
