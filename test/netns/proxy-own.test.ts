import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ConsoleReady, firstAdmin } from "./api-kit.ts";
import type { Child } from "./child.ts";
import {
  AGENT_PORT,
  command,
  type Home,
  joinCode,
  launchAgent,
  newHome,
  PUBLIC_PORTS,
  query,
  startAgent,
  writeConfig,
} from "./hatchway.ts";
import { curl, startNginx } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually, listening } from "./ready.ts";
import { newDevice, SSH_PORT, SSH_TOML, stay } from "./ssh-kit.ts";

/**
 * A relay that is wholly behind HAProxy on the NAT box: agents, SSH clients and visitors know the box's address alone.
 * Those behind the box come to HAProxy by addresses of their own, and would come to the relay by HAProxy's.
 */
const WEB = 8080;
const SSH_WEB = 8090;
const AGENT_TOML = `[[expose]]\nports = ${WEB}\nname = "web"\n`;
const CONSOLE_PORT = 7780;
const CONSOLE_TOML = `[console]\nlisten = "*:${CONSOLE_PORT}"\nproxy-protocol-from = ["203.0.113.20"]\n`;
const REST_TOML = `${SSH_TOML}${CONSOLE_TOML}`;
const RELAY_TOML = `[relay]\nproxy-protocol-from = ["203.0.113.20"]\n${REST_TOML}`;

let lab: Lab;
let relayHome: Home;
let agentHome: Home;
let relay: Child;
let agent: Child;
let usedCode: string;
/** What HAProxy is, for whoever connects to it. */
let front: Host;

async function startHaproxy(): Promise<void> {
  const config = [
    "defaults",
    " mode tcp",
    " timeout connect 5s",
    " timeout client 60s",
    " timeout server 60s",
    ...[AGENT_PORT, SSH_PORT, WEB, SSH_WEB, CONSOLE_PORT].flatMap((port) => [
      `listen at${port}`,
      ` bind :::${port} v4v6`,
      // The agent port is checked as well, by LOCAL headers.
      ` server relay ${lab.relay.v4}:${port} ${port === SSH_PORT ? "send-proxy" : "send-proxy-v2"}${port === AGENT_PORT ? " check inter 200ms" : ""}`,
    ]),
    "",
  ].join("\n");
  const file = join(lab.directory, "haproxy.cfg");
  writeFileSync(file, config);
  await listening(lab.spawn(lab.nat, ["haproxy", "-db", "-f", file]), "tcp", AGENT_PORT);
}

beforeAll(async () => {
  lab = createLab();
  front = lab.nat;
  relayHome = newHome(lab, lab.relay, RELAY_TOML);
  agentHome = newHome(lab, lab.agent, AGENT_TOML);
  const flags = ["--listen", `*:${AGENT_PORT}`, "--public", front.v4, "--ports", PUBLIC_PORTS, "--json"];
  relay = lab.spawn(lab.relay, command(relayHome, "serve", ...flags));
  await Promise.all([
    relay.event("ready", { deadlineMs: 20_000 }),
    startHaproxy(),
    startNginx(lab, lab.agent, WEB, "by the agent"),
    startNginx(lab, lab.other, 8000, "by ssh"),
  ]);
  usedCode = await joinCode(lab, relayHome, "attic");
  agent = await startAgent(lab, agentHome, usedCode);
}, 40_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** A line of the relay's log has all of it. */
const told = (...words: readonly string[]) =>
  eventually(words.join(" … "), () =>
    relay.stderr.some((line) => words.every((word) => line.includes(word))) ? true : undefined,
  );

const addressOf = async (name: string): Promise<string | null> => {
  const { devices } = await query<{ devices: { name: string; address: string | null }[] }>(
    lab,
    relayHome,
    "devices",
    "ls",
  );
  return devices.find((device) => device.name === name)?.address ?? null;
};

const say = async (from: Host, text: string, port: number): Promise<string> =>
  (await lab.exec(from, ["sh", "-c", `printf '${text}' | socat -t10 -T10 - TCP:${lab.relay.v4}:${port}`])).stdout;

const banner = async (from: Host, to: Host): Promise<string> =>
  (await lab.exec(from, ["socat", "-u", `TCP:${to.v4}:${SSH_PORT},readbytes=16`, "-"])).stdout;

const signIn = (from: Host, to: Host) => {
  const body = ["--json", '{"name":"nobody","password":"a wrong password"}'];
  return curl(lab, from, "--insecure", ...body, `https://${to.v4}:${CONSOLE_PORT}/v1/session`);
};

const HEADER = "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\\r\\n";

describe("the agent port", () => {
  test("knows an agent by its own address, and carries its visitors", async () => {
    expect(await addressOf("attic")).toBe(lab.agent.v4);
    await eventually("the page", async () => {
      return (await curl(lab, lab.visitor, `http://${front.v4}:${WEB}/`)).stdout === "by the agent" || undefined;
    });
  });

  test("refuses a credential by the agent's own address", async () => {
    await using _ = launchAgent(lab, newHome(lab, lab.other), usedCode);
    await told("a credential was refused", lab.other.v4);
  });

  test("refuses who comes by the balancer's address without a header, and says what to do", async () => {
    expect(await say(lab.other, "nonsense", AGENT_PORT)).toBe("");
    await told(`A visitor by ${front.v4} was refused: it is in [relay] proxy-protocol-from and sent no PROXY protocol`);
  });

  test("refuses a header of anybody else", async () => {
    await say(lab.visitor, HEADER, AGENT_PORT);
    await told(`A visitor from ${lab.visitor.v4} was refused: it sent a PROXY protocol header.`);
  });
});

describe("the SSH port", () => {
  test("knows Debian's client by its own address, and carries its visitors", async () => {
    const key = await newDevice(lab, relayHome, "laptop");
    await using _ = await stay(lab, lab.other, front, key, "-R", `${SSH_WEB}:localhost:8000`);
    expect((await curl(lab, lab.visitor, `http://${front.v4}:${SSH_WEB}/`)).stdout).toBe("by ssh");
    expect(await addressOf("laptop")).toStartWith(`${lab.other.v4}:`);
  });

  test("says nothing to who comes by the balancer's address without a header", async () => {
    expect(await say(lab.other, "SSH-2.0-nobody\\r\\n", SSH_PORT)).toBe("");
  });

  test("greets others at once", async () => {
    expect(await banner(lab.visitor, lab.relay)).toBe("SSH-2.0-Hatchway");
  });
});

describe("the console's port", () => {
  test("knows who asks by their own address", async () => {
    const ready = await relay.event<{ console: ConsoleReady }>("ready");
    await firstAdmin(lab, lab.agent, ready.console);
    expect((await signIn(lab.other, front)).exitCode).toBe(0);
    await told("a sign-in was refused", lab.other.v4);
    expect((await signIn(lab.visitor, lab.relay)).exitCode).toBe(0);
    await told("a sign-in was refused", lab.visitor.v4);
  });

  test("lets nobody in who comes by the balancer's address without a header", async () => {
    expect((await signIn(lab.other, lab.relay)).exitCode).not.toBe(0);
    await told("it is in [console] proxy-protocol-from and sent no PROXY protocol header");
  });
});

test("an emptied list takes agents as they come, and keeps those who are there", async () => {
  writeConfig(relayHome, REST_TOML);
  relay.signal("SIGHUP");
  const direct = newHome(lab, lab.other, `[agent]\nrelay = "${lab.relay.v4}:${AGENT_PORT}"\n`);
  await using _ = await startAgent(lab, direct, await joinCode(lab, relayHome, "den"));
  expect(await addressOf("den")).toBe(front.v4);
  expect(await addressOf("attic")).toBe(lab.agent.v4);
  expect(agent.stdout.filter((line) => line.includes('"disconnected"'))).toEqual([]);
  writeConfig(relayHome, RELAY_TOML);
  relay.signal("SIGHUP");
  await eventually("headers again", async () => (await say(lab.other, "nonsense", AGENT_PORT)) === "" || undefined);
}, 30_000);

test("an upgrade in place: the new process takes headers at each of the ports", async () => {
  const { pid } = await query<{ pid: number }>(lab, relayHome, "relay", "upgrade");
  expect(pid).not.toBe(relay.pid);
  await eventually("the agent is back", async () => ((await addressOf("attic")) === lab.agent.v4 ? true : undefined));
  expect((await curl(lab, lab.visitor, `http://${front.v4}:${WEB}/`)).stdout).toBe("by the agent");
  expect(await banner(lab.other, front)).toBe("SSH-2.0-Hatchway");
  expect(await banner(lab.other, lab.relay)).toBe("");
  expect(JSON.parse((await signIn(lab.other, front)).stdout)).toMatchObject({ status: 401 });
  expect((await signIn(lab.other, lab.relay)).exitCode).not.toBe(0);
  expect(agent.stdout.filter((line) => line.includes('"disconnected"'))).toEqual([]);
}, 30_000);
