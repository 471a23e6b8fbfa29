import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { relayClient } from "../../src/servers/local/client.ts";
import { joinPredecessor } from "../../src/servers/local/handover-link.ts";
import { acquireLock } from "../../src/servers/local/lock.ts";
import { HANDOVER_VERSION, type HandoverOf } from "../../src/wire/handover.ts";
import type { Child } from "./child.ts";
import { command, type Home, query, run, type Site, startRelay, startSite, status, writeConfig } from "./hatchway.ts";
import { startNginx, startService, startVisitor } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** One process of a relay takes over from another, under visitors that must not notice. */
const STREAMS = 40;
const FLOWS = 10;
const VISITORS_PER_SEC = 50;
const UPGRADES = 3;
const PORT = 7001;
const UDP_PORT = 7002;
const WEB_PORT = 7003;
const AGENT = `[[expose]]\nports = ${PORT}\nname = "echo"\n[[expose]]\nports = "${UDP_PORT}/udp"\nname = "flows"\nudp-idle = "2s"\n
[[expose]]\nports = ${WEB_PORT}\nhost = "app.example.org"\ntls = "off"\n`;
const METRICS_PORT = 9464;
const RELAY = `[relay]\nstun = true\n[names]\nhttp = "*:80"\ndomains = ["app.example.org"]\n[metrics]\nlisten = "127.0.0.1:${METRICS_PORT}"\n`;
/** Requests for a site, one connection each: 200 while an upgrade goes on. */
const REQUESTS = 300;

interface Outcome {
  readonly streams: number;
  readonly visitors: number;
}
interface Upgraded {
  readonly pid: number;
}

let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { relay: RELAY, agent: AGENT });
  await startNginx(lab, lab.agent, WEB_PORT, "a site");
  await startService(lab, lab.agent, `echo:tcp:${PORT}`, `sender:udp:${UDP_PORT}`);
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

const upgrade = (home: Home): Promise<Upgraded> => query<Upgraded>(lab, home, "relay", "upgrade");

const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"];
async function startVisitors(streams: number, perSec: number, flows = 0): Promise<Child> {
  const program = join(import.meta.dir, "peers/upgrade-visitor.ts");
  const args = [PORT, streams, perSec, UDP_PORT, flows].map(String);
  const child = lab.spawn(lab.visitor, [...BUN, program, lab.relay.v4, ...args]);
  await child.event("flowing");
  return child;
}

async function end(visitors: Child): Promise<Outcome> {
  visitors.signal("SIGTERM");
  return await visitors.event<Outcome>("done");
}

/** The process has ended; what it still carried would have kept it. */
const gone = (pid: number) =>
  eventually(
    `the end of process ${pid}`,
    () => {
      try {
        process.kill(pid, 0);
        return undefined;
      } catch {
        return true;
      }
    },
    15_000,
  );

describe("an upgrade in place", () => {
  test(`${UPGRADES} times under ${STREAMS} streams, ${FLOWS} flows and ${VISITORS_PER_SEC} new visitors a second drops nothing`, async () => {
    const before = (await status(lab, site.relayHome)).pid;
    await using visitors = await startVisitors(STREAMS, VISITORS_PER_SEC, FLOWS);
    const pids = [before];
    for (let count = 0; count < UPGRADES; count++) pids.push((await upgrade(site.relayHome)).pid);
    expect(new Set(pids).size).toBe(UPGRADES + 1);
    expect((await status(lab, site.relayHome)).pid).toBe(pids.at(-1)!);
    const outcome = await end(visitors);
    expect(outcome).toMatchObject({ streams: STREAMS, broken: 0, gaps: 0, failed: 0, why: [] });
    expect(outcome).toMatchObject({ datagramsLost: 0, flowsMoved: 0 });
    expect(outcome.visitors).toBeGreaterThan(VISITORS_PER_SEC);
    for (const pid of pids.slice(0, -1)) await gone(pid);
    // The agent followed: it was never without its relay.
    expect(site.agent.stdout.filter((line) => line.includes('"disconnected"'))).toEqual([]);
  }, 60_000);

  test("hands sites over when every agent has come: each request is answered", async () => {
    const url = "http://app.example.org/";
    const get = `curl -s -o /dev/null -m 10 -w '%{http_code} ' --resolve app.example.org:80:${lab.relay.v4} ${url}`;
    const script = `for i in $(seq ${REQUESTS}); do ${get}; done`;
    const requests = lab.exec(lab.visitor, ["sh", "-c", script], { timeoutMs: 90_000 });
    await upgrade(site.relayHome);
    const { stdout } = await requests;
    expect(
      Object.entries(Object.groupBy(stdout.trim().split(" "), String)).map(([code, all]) => [code, all?.length]),
    ).toEqual([["200", REQUESTS]]);
  }, 100_000);

  test("keeps what was stored, and the ports to itself", async () => {
    expect((await run(lab, site.relayHome, "join-code", "create", "--name", "cellar")).exitCode).toBe(0);
    const again = await lab.exec(lab.relay, [
      join(import.meta.dir, "../../bin/hatchway"),
      ...["serve", "--data", join(lab.directory, "second"), "--listen", "0.0.0.0:7744"],
    ]);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining("in use")]);
  }, 20_000);
});

describe("an upgrade that fails", () => {
  test("for a config that is wrong leaves the relay as it was", async () => {
    const { pid } = await status(lab, site.relayHome);
    await using visitors = await startVisitors(2, 10);
    writeConfig(site.relayHome, "[relay]\nprots = 1\n");
    const refused = await run(lab, site.relayHome, "relay", "upgrade");
    writeConfig(site.relayHome, RELAY);
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringMatching(/prots.*goes on as it was/)]);
    expect((await status(lab, site.relayHome)).pid).toBe(pid);
    expect(await end(visitors)).toMatchObject({ broken: 0, gaps: 0, failed: 0 });
  }, 30_000);

  test("because the new process ends with the data directory in its hands leaves the relay as it was", async () => {
    const { pid } = await status(lab, site.relayHome);
    await using visitors = await startVisitors(2, 10);
    const socket = join(site.relayHome.data, "relay.sock");
    const yours = Promise.withResolvers<HandoverOf<"yours">>();
    const link = await joinPredecessor(await relayClient(socket).handOver(), {
      onMessage: (_link, message) => (message.t === "yours" ? yours.resolve(message) : yours.reject(message)),
      onEnd: () => undefined,
    });
    link.send({ t: "hello", v: HANDOVER_VERSION, pid: process.pid, version: "9.9.9" });
    expect(await yours.promise).toMatchObject({
      agentPort: 7744,
      ports: [
        { protocol: "tcp", first: 80, last: 80 },
        { protocol: "tcp", first: PORT, last: PORT },
        { protocol: "tcp", first: METRICS_PORT, last: METRICS_PORT },
        { protocol: "udp", first: UDP_PORT, last: UDP_PORT },
        // STUN's.
        { protocol: "udp", first: 7744, last: 7745 },
      ],
    });
    const lock = acquireLock(`${socket}.lock`);
    expect(lock).not.toBeNull();
    lock?.release();
    link.close();
    await eventually("the relay again", async () => {
      const { exitCode } = await run(lab, site.relayHome, "join-code", "create", "--name", "cellar");
      return exitCode === 0 ? true : undefined;
    });
    expect((await status(lab, site.relayHome)).pid).toBe(pid);
    expect(await end(visitors)).toMatchObject({ broken: 0, gaps: 0, failed: 0 });
  }, 30_000);
});

describe("kill -9 in the middle", () => {
  test("of the old process costs the streams that it had, and nothing else", async () => {
    const { pid } = await status(lab, site.relayHome);
    await using keeper = startVisitor(lab, lab.visitor, "keep", lab.relay.v4, PORT);
    await keeper.event("started");
    await upgrade(site.relayHome);
    process.kill(pid, "SIGKILL");
    await eventually("a visitor served", async () => ((await talks()) ? true : undefined));
    await using visitors = await startVisitors(2, 20);
    expect(await end(visitors)).toMatchObject({ broken: 0, gaps: 0, failed: 0 });
  }, 30_000);

  test("of the new process leaves the streams of before, and the next start has the ports", async () => {
    await using visitors = await startVisitors(4, 0);
    const { pid } = await upgrade(site.relayHome);
    process.kill(pid, "SIGKILL");
    await gone(pid);
    site.relay = await startRelay(lab, site.relayHome);
    await eventually("a visitor served", async () => ((await talks()) ? true : undefined), 20_000);
    expect(await end(visitors)).toMatchObject({ streams: 4, broken: 0, gaps: 0 });
  }, 40_000);
});

describe("under systemd", () => {
  test("the new process is the one to supervise, and no child of the old one", async () => {
    const socket = join(lab.directory, "notify.sock");
    const told = join(lab.directory, "told");
    await using systemd = lab.spawn(lab.relay, ["socat", "-u", `UNIX-RECV:${socket}`, `OPEN:${told},creat,append`]);
    await eventually("the socket of systemd", () => (existsSync(socket) ? true : undefined));
    site.relay.signal("SIGTERM");
    await site.relay.exited;
    const serve = ["serve", "--listen", "0.0.0.0:7744", "--public", lab.relay.v4, "--json"];
    const relay = lab.spawn(lab.relay, ["env", `NOTIFY_SOCKET=${socket}`, ...command(site.relayHome, ...serve)]);
    await relay.event("ready");
    const { pid: before } = await status(lab, site.relayHome);
    const { pid } = await upgrade(site.relayHome);
    await eventually("the main process told", () =>
      readFileSync(told, "utf8").includes(`MAINPID=${pid}`) ? true : undefined,
    );
    expect(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1]).not.toBe(String(before));
    await gone(before);
    expect(systemd.stderr).toEqual([]);
    expect((await status(lab, site.relayHome)).pid).toBe(pid);
  }, 40_000);
});

async function talks(): Promise<boolean> {
  const { stdout } = await lab.exec(lab.visitor, [
    "sh",
    "-c",
    `echo hi | socat -t10 -T10 - TCP:${lab.relay.v4}:${PORT}`,
  ]);
  return stdout === "hi";
}
