import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { relayClient } from "../../src/servers/local/client.ts";
import { firstAdmin } from "./api-kit.ts";
import type { Child } from "./child.ts";
import { joinCode, open, query, run, type Site, startOther, startSite, status } from "./hatchway.ts";
import { startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** Who else uses a relay while it is upgraded in place: programs at its API, and devices that dial each other. */
const PORT = 7001;
const LOCAL_PORT = 6001;
const RELAY = '[relay]\nupgrade-drain = "10s"\n[console]\nlisten = "127.0.0.1:7780"\n';
const AGENT = `[agent]\nallow = ["127.0.0.1:${PORT}"]\n[[expose]]\nports = ${PORT}\n`;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"];
const peer = (name: string) => join(import.meta.dir, `peers/${name}.ts`);
let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { relay: RELAY, agent: AGENT });
  await startService(lab, lab.agent, `echo:tcp:${PORT}`);
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
    const { console: ready } = await site.relay.event<{ console: { url: string; setupLink: string } }>("ready");
    const ann = await firstAdmin(lab, lab.relay, ready);
    const { secret } = await ann.makeToken({ name: "asker", scopes: ["all"], lifetimeSec: null });
    await using asker = lab.spawn(lab.relay, [...BUN, peer("api-asker"), ready.url, secret]);
    await asker.event("asking");
    const { pid } = await upgrade();
    asker.signal("SIGTERM");
    const { outcomes, stored } = await asker.event<{ outcomes: Record<string, number>; stored: string[] }>("done");
    // The port changes hands: a connection of that moment is refused or reset, when nothing is changed any more.
    const known = ["GET 200", "POST 201", "POST 503 after 1"];
    const others = Object.keys(outcomes).filter((outcome) => !known.includes(outcome));
    expect(others.filter((outcome) => !/ ECONN(REFUSED|RESET)$/.test(outcome))).toEqual([]);
    expect(outcomes["POST 503 after 1"]).toBeGreaterThan(0);
    const { stdout } = await run(lab, site.relayHome, "audit", "--json");
    const names = [...stdout.matchAll(/"deviceName":"(asker-\d+)"/g)].map(([, name]) => name ?? "");
    // Both ways: nothing that was promised is lost, and nothing was done that nobody was told of.
    expect(names.toSorted()).toEqual(stored.toSorted());
    expect(await pidOf()).toBe(pid);
  }, 40_000);

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
