import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeJoinCode, encodeJoinCode } from "../../src/wire/join-code.ts";
import {
  command,
  joinCode,
  launchAgent,
  newHome,
  open,
  run,
  type Site,
  startAgent,
  startRelay,
  startSite,
  status,
} from "./hatchway.ts";
import { startService, type VisitEnd, visit } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** Nobody gets in without the right credential, and nobody learns which part was wrong. */
const REFUSED = 3;
let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab);
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

interface Attempt {
  readonly exitCode: number;
  readonly said: string;
  readonly ms: number;
}

/** A new device tries to join; the lab's second device, so that penalties do not touch the first. */
async function tryToJoin(code: string): Promise<Attempt> {
  const home = newHome(lab, lab.other);
  const startedMs = performance.now();
  const { exitCode, stderr } = await lab.exec(lab.other, command(home, "agent", "--join", code), { timeoutMs: 60_000 });
  return { exitCode, said: stderr.trim().split("\n").at(-1)!, ms: performance.now() - startedMs };
}

/** Penalties are the running relay's own: a new start forgets them. */
async function restartRelay(): Promise<void> {
  await site.relay.kill();
  site.relay = await startRelay(lab, site.relayHome);
}

function withOtherSecret(code: string): string {
  const decoded = decodeJoinCode(code);
  if (!decoded.ok) throw new Error(decoded.error.message);
  const secret = decoded.value.secret.map((byte) => byte ^ 0xff);
  const encoded = encodeJoinCode({ ...decoded.value, secret });
  if (!encoded.ok) throw new Error(encoded.error.message);
  return encoded.value;
}

describe("a join code", () => {
  test("that is wrong, used or expired is refused alike, and later each time", async () => {
    const used = await joinCode(lab, site.relayHome, "once");
    const enrolled = await startAgent(lab, newHome(lab, lab.other), used);
    await enrolled.kill();
    const expired = await joinCode(lab, site.relayHome, "late", "--lifetime", "1s");
    const wrong = withOtherSecret(await joinCode(lab, site.relayHome, "wrong"));

    // The answers come after 1 s, 2 s and 4 s.
    const attempts = [await tryToJoin(used), await tryToJoin(wrong), await tryToJoin(expired)];
    expect(attempts.map(({ exitCode }) => exitCode)).toEqual([REFUSED, REFUSED, REFUSED]);
    expect(new Set(attempts.map(({ said }) => said)).size).toBe(1);
    // A busy machine adds to each, and takes from none.
    for (const [n, { ms }] of attempts.entries()) expect(ms).toBeGreaterThan(2 ** n * 1_000);
    expect(attempts[2]!.ms).toBeGreaterThan(attempts[0]!.ms);
  }, 90_000);

  test("that is mistyped is told apart on the spot, without asking the relay", async () => {
    const code = await joinCode(lab, site.relayHome, "typo");
    const last = code.at(-9) === "a" ? "b" : "a";
    // Who asks the relay now gets no answer.
    lab.blackhole();
    const { exitCode } = await tryToJoin(code.slice(0, -9) + last + code.slice(-8));
    lab.restore();
    expect(exitCode).toBe(2);
  });
});

describe("a device", () => {
  test("that was revoked loses its ports at once and is refused from then on", async () => {
    await restartRelay();
    const home = newHome(lab, lab.agent);
    const child = await startAgent(lab, home, await joinCode(lab, site.relayHome, "leaver"));
    await startService(lab, lab.agent, "port:tcp:7001");
    const opened = await open(lab, home, "expose", "7001");
    expect((await run(lab, site.relayHome, "devices", "revoke", "leaver")).exitCode).toBe(0);
    expect(await child.exited).toBe(REFUSED);
    await opened.child.exited;
    expect((await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, 7001)).error).toBe("ECONNREFUSED");
    expect(await launchAgent(lab, home).exited).toBe(REFUSED);
  }, 60_000);

  test("does not speak to a relay with another certificate, though it has the right address", async () => {
    await site.relay.kill();
    const rogueHome = newHome(lab, lab.relay);
    const rogue = await startRelay(lab, rogueHome);
    const lines = site.agent.stdout.length;
    const told = site.agent.stderr.length;
    await eventually(
      "the agent refuses the certificate",
      () => {
        const said = [...site.agent.stdout.slice(lines), ...site.agent.stderr.slice(told)].join("\n");
        return /certificate/i.test(said) ? true : undefined;
      },
      45_000,
    );
    expect(await status(lab, rogueHome)).toMatchObject({ devicesConnected: 0 });
    await rogue.kill();
    site.relay = await startRelay(lab, site.relayHome);
    await eventually(
      "the agent is back",
      async () => ((await status(lab, site.agentHome)).link === "up" ? true : undefined),
      45_000,
    );
  }, 120_000);
});

test("no credential, no start", async () => {
  const { exitCode, stderr } = await run(lab, newHome(lab, lab.other), "agent");
  expect(exitCode).toBe(2);
  expect(stderr).toContain("--join");
});

test("verification of certificates cannot be switched off", async () => {
  const { exitCode, stderr } = await lab.exec(lab.agent, command(site.agentHome, "agent"), {
    env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
  });
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain("NODE_TLS_REJECT_UNAUTHORIZED");
});
