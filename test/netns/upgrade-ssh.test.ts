import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { forwards, query, type Site, startRelay, startSite, status } from "./hatchway.ts";
import { curl, startNginx, startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";
import { newDevice, SSH_TOML, sshArgs, stay } from "./ssh-kit.ts";

/** One process of a relay takes over from another, under SSH clients and their visitors, who must not notice. */
const STREAMS = 20;
const VISITORS_PER_SEC = 30;
/** Of the echo service on the SSH client's machine, and its public port. */
const PORT = 7_001;
/** On the agent's machine. */
const WEB_PORT = 8_080;
/** One after the other; an upgrade begins and ends meanwhile. */
const NEW_CLIENTS = 12;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"];
const UNHARMED = { broken: 0, gaps: 0, failed: 0, why: [] };

let lab: Lab;
let site: Site;
let laptop: string;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { relay: SSH_TOML, agent: `[agent]\nallow = ["localhost:${WEB_PORT}"]\n` });
  laptop = await newDevice(lab, site.relayHome, "laptop");
  await startService(lab, lab.other, `echo:tcp:${PORT}`);
  await startNginx(lab, lab.agent, WEB_PORT, "of the agent");
}, 40_000);
afterAll(() => lab[Symbol.asyncDispose]());

const upgrade = async () => (await query<{ pid: number }>(lab, site.relayHome, "relay", "upgrade")).pid;

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const gone = (pid: number) => eventually(`the end of process ${pid}`, () => (alive(pid) ? undefined : true), 15_000);

async function startVisitors(streams: number, perSec: number, host = lab.visitor, at = lab.relay.v4, port = PORT) {
  const program = join(import.meta.dir, "peers/upgrade-visitor.ts");
  const child = lab.spawn(host, [...BUN, program, at, ...[port, streams, perSec].map(String)]);
  await child.event("flowing");
  return child;
}

async function end(visitors: Child): Promise<unknown> {
  visitors.signal("SIGTERM");
  return await visitors.event("done");
}

const echo = `${PORT}:localhost:${PORT}`;
const forwardOf = async (name: string) => (await forwards(lab, site.relayHome)).find((one) => one.name === name);
const stateOf = async (name: string) => (await forwardOf(name))?.state;

const talkTo = (port: number) => ["sh", "-c", `echo hi | socat -t10 -T10 - TCP:${lab.relay.v4}:${port}`];

/** It loses its connection, and its port 7010, within a second. */
async function removeKey(name: string, ssh: Child): Promise<void> {
  const talk = talkTo(7_010);
  expect((await lab.exec(lab.visitor, talk)).stdout).toBe("hi");
  await query(lab, site.relayHome, "ssh-key", "rm", name);
  const startedMs = performance.now();
  await ssh.exited;
  const endedMs = performance.now() - startedMs;
  expect((await lab.exec(lab.visitor, talk)).exitCode).toBe(1);
  expect(endedMs).toBeLessThan(1_000);
}

/** Hands on what it reads, with an end of line after each piece: a session writes its counters over and over, and ends no line. */
const IN_LINES = `perl -e '$| = 1; while (sysread STDIN, $_, 4096) { print "$_\\n" }'`;

/** A session on a terminal. */
function startSession(key: string, ...args: readonly string[]): Child {
  const ssh = [...sshArgs(lab, key), "-tt", ...args, lab.relay.v4].join(" ");
  return lab.spawn(lab.other, ["sh", "-c", `tail -f /dev/null | ${ssh} | ${IN_LINES}`]);
}

/** A visitor says "hi", and hears it; the session counts it, as the so manieth. */
async function visitAndSee(session: Child, port: number, count: number): Promise<void> {
  expect((await lab.exec(lab.visitor, talkTo(port))).stdout).toBe("hi");
  const counted = `${count} visitor${count === 1 ? "" : "s"}, 0 now; ${3 * count} B in, ${3 * count} B out`;
  await session.line(counted, (line) => (line.includes(counted) ? true : undefined));
}

describe("an upgrade in place", () => {
  test("leaves the session of an SSH client its counters", async () => {
    const watcher = await newDevice(lab, site.relayHome, "watcher");
    await using session = startSession(watcher, "-R", `7030:localhost:${PORT}`);
    await session.line("the list", (line) => (line.includes(":7030/tcp") ? true : undefined));
    await visitAndSee(session, 7_030, 1);
    await upgrade();
    let count = 1;
    const counts = async () => (await forwardOf("ssh 7030"))?.counters.visitorsTotal ?? 0;
    // Until the process before has left the port to the next, either has the visitor.
    while ((await counts()) === 0) await visitAndSee(session, 7_030, ++count);
    await query(lab, site.relayHome, "ssh-key", "rm", "watcher");
  }, 40_000);

  test(`under ${STREAMS} streams and ${VISITORS_PER_SEC} new visitors a second by ssh -R drops nothing, also when the next one follows; a removed key ends its connection`, async () => {
    const guest = await newDevice(lab, site.relayHome, "guest");
    await using guests = await stay(lab, lab.other, lab.relay, guest, "-R", `7010:localhost:${PORT}`);
    const there = ["-L", `9001:attic:${WEB_PORT}`, "-L", `9002:localhost:${PORT}`, "-L", "9003:/echo"];
    const ways = ["-R", echo, "-R", `/echo:localhost:${PORT}`, ...there];
    // Its port waits for it, and the next process for nobody.
    await (await stay(lab, lab.other, lab.relay, laptop, "-R", `7020:localhost:${PORT}`)).kill();
    const ssh = await stay(lab, lab.other, lab.relay, laptop, ...ways);
    const pids = [(await status(lab, site.relayHome)).pid];
    await using visitors = await startVisitors(STREAMS, VISITORS_PER_SEC);
    await using local = await startVisitors(2, 5, lab.other, "127.0.0.1", 9002);
    const one = `${sshArgs(lab, laptop).join(" ")} -W attic:${WEB_PORT} ${lab.relay.v4}`;
    const ask = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | ${one} | grep -c 'of the agent'`;
    const script = `for i in $(seq ${NEW_CLIENTS}); do ${ask}; done`;
    const clients = lab.exec(lab.other, ["sh", "-c", script], { timeoutMs: 60_000 });
    pids.push(await upgrade());
    const { stdout, stderr } = await clients;
    expect([stdout.trim(), stderr]).toEqual([Array.from({ length: NEW_CLIENTS }, () => "1").join("\n"), ""]);
    pids.push(await upgrade());
    expect([await stateOf(`ssh ${PORT}`), await stateOf("ssh 7020")]).toEqual(["open", "away"]);
    await using after = await startVisitors(2, VISITORS_PER_SEC);
    // The agent it is to be found at is the last process's, and the connection the first one's.
    expect((await curl(lab, lab.other, "http://127.0.0.1:9001/")).stdout).toBe("of the agent");
    await using bySocket = await startVisitors(2, 0, lab.other, "127.0.0.1", 9003);
    expect(await end(bySocket)).toMatchObject(UNHARMED);
    expect([await end(after), await end(local), await end(visitors)]).toMatchObject([UNHARMED, UNHARMED, UNHARMED]);
    await removeKey("guest", guests);
    expect(alive(pids[0]!)).toBe(true);
    ssh.signal("SIGTERM");
    await ssh.exited;
    for (const pid of pids.slice(0, -1)) await gone(pid);
    expect(await stateOf(`ssh ${PORT}`)).toBe("away");
  }, 100_000);

  test("whose new process is killed leaves the streams, and the next start takes the clients in", async () => {
    await using ssh = await stay(lab, lab.other, lab.relay, laptop, "-R", echo);
    await using visitors = await startVisitors(2, 0);
    const before = await status(lab, site.relayHome);
    const pid = await upgrade();
    // The ports are the new process's alone when the old one keeps nothing but what passes.
    process.kill(pid, "SIGKILL");
    await gone(pid);
    site.relay = await startRelay(lab, site.relayHome);
    await eventually("the forward open", async () => ((await stateOf(`ssh ${PORT}`)) === "open" ? true : undefined));
    await using after = await startVisitors(2, VISITORS_PER_SEC);
    expect([await end(after), await end(visitors)]).toMatchObject([UNHARMED, UNHARMED]);
    ssh.signal("SIGTERM");
    await ssh.exited;
    await gone(before.pid);
  }, 40_000);
});
