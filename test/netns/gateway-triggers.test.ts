import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type GatewaySite, launchGateway, mappings, openPorts, startGateway, triggers } from "./gateway-kit.ts";
import { query, run, writeConfig } from "./hatchway.ts";
import { CONNECTS_OR_NOT, startService, startVisitor, visitUdp } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(30_000);

/** What opens and closes by itself: leases that nobody renews, and port triggers. Visitors prove it by packets. */
/** A busy machine takes a second for a command, and there are a few of them between two packets. */
const TIMEOUT_SEC = 5;
/** The bound on a lease; a trigger's timeout is the kernel's own. */
const LATE_MS = 2_000;
const TOML = `
[[trigger]]
name = "game"
out = "6112"
in = "6200-6202"
timeout = "${TIMEOUT_SEC}s"
first-wins = true
[[trigger]]
name = "chat"
out = "5190/tcp"
in = "7200/tcp, 7200/udp"
timeout = "${TIMEOUT_SEC}s"
`;
let lab: Lab;
let site: GatewaySite;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  const services = [
    "--host",
    "0.0.0.0",
    "peer:tcp:6201",
    "echo:tcp:7200",
    "watch:tcp:6200",
    "echo:udp:7200",
    "echo:udp:1024-1030",
  ];
  await Promise.all([
    startService(lab, lab.agent, ...services),
    startService(lab, lab.other, ...services),
    startService(lab, lab.relay, "peer:tcp:6112", "peer:tcp:5190", "peer:tcp:4000"),
  ]);
  site = await startGateway(lab, TOML);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

const trigger = async (name: string) => (await triggers(lab, site)).find((one) => one.name === name);
/** A host inside opens a connection to a server outside. */
async function dialOut(host: Host, port: number): Promise<void> {
  const { stdout } = await lab.exec(host, ["socat", "-u", `TCP4:${lab.relay.v4}:${port},connect-timeout=2`, "-"]);
  expect(stdout).not.toBe("");
}
/** Empty = nobody answers. */
const reach = async (port: number): Promise<string> =>
  (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", ...CONNECTS_OR_NOT, `${lab.nat.v4}:${port}`])).stdout;
const closed = (name: string) =>
  eventually(
    `${name} is armed again`,
    async () => ((await trigger(name))?.state === "armed" ? true : undefined),
    TIMEOUT_SEC * 1000 + 10_000,
  );

describe("a NAT-PMP lease in the way of VPN clients (-a 1 0)", () => {
  test("keeps its port over renewals, and closes within 2 s of its end, for packets as in the list", async () => {
    const ask = async () =>
      (await lab.exec(lab.agent, ["natpmpc", "-a", "1", "0", "udp", "3", "-g", "192.168.77.1"])).stdout;
    const port = (await ask()).match(/Mapped public port (\d+)/)?.[1];
    expect(port).toBe("1024");
    const asked = { answer: "on", from: `${lab.nat.v4} ${port}` };
    for (let renewal = 0; renewal < 3; renewal++) {
      expect(await ask()).toContain(`Mapped public port ${port} protocol UDP to local port 0 li`);
      expect(await visitUdp<object>(lab, lab.visitor, "ask", lab.nat.v4, Number(port), "on")).toMatchObject(asked);
    }
    const endMs = (await mappings(lab, site))[0]?.leaseEndsMs ?? 0;
    // A new visitor each time, until one gets no answer.
    const isAnswered = `[ "$(echo on | socat -t 0.3 - UDP4:${lab.nat.v4}:${port})" = on ]`;
    // On a busy machine an answer may take longer than one of them waits.
    const script = `while ${isAnswered} || ${isAnswered}; do date +%s%3N; done; echo silent`;
    const [{ stdout }, closedMs] = await Promise.all([
      lab.exec(lab.visitor, ["sh", "-c", script], { timeoutMs: 15_000 }),
      eventually("no open port", async () => ((await openPorts(lab, site)).length === 0 ? Date.now() : undefined)),
    ]);
    const [lastAnswer, silent] = stdout.split("\n").slice(-2);
    expect(silent).toBe("silent");
    expect(Math.abs(Number(lastAnswer) - endMs)).toBeLessThan(LATE_MS);
    expect(Math.abs(closedMs - endMs)).toBeLessThan(LATE_MS);
  }, 30_000);
});

describe.each([
  ["hatchway.toml", "game", 6112],
  ["trigger add", "game2", 4000],
] as const)("a trigger of %s that the first host wins", (by, name, outPort) => {
  test("opens to who sends out, for it alone, and ends on time with its connections", async () => {
    if (by === "trigger add") {
      writeConfig(site.home, "");
      site.child.signal("SIGHUP");
      await eventually("no triggers", async () => ((await triggers(lab, site)).length === 0 ? true : undefined));
      const flags = ["--name", name, "--out", "4000", "--in", "6200-6202", "--timeout", `${TIMEOUT_SEC}s`];
      expect((await run(lab, site.home, "trigger", "add", ...flags, "--first-wins")).exitCode).toBe(0);
    }
    expect(await trigger(name)).toMatchObject({ state: "armed", host: null });
    expect(await reach(6201)).toBe("");

    await dialOut(lab.agent, outPort);
    expect(await trigger(name)).toMatchObject({ state: "open", host: lab.agent.v4 });
    expect(await reach(6201)).toStartWith(`${lab.visitor.v4} `);
    // Another host is refused, and gets no visitors.
    await dialOut(lab.other, outPort);
    expect(await trigger(name)).toMatchObject({ state: "open", host: lab.agent.v4 });
    expect((await run(lab, site.home, "trigger", "ls")).stdout).toContain(`open to ${lab.agent.v4}`);

    // A connection that says nothing does not keep it open, and is over with it.
    const startedMs = performance.now();
    await using watcher = startVisitor(lab, lab.visitor, "keep", lab.nat.v4, 6200);
    await watcher.event("started");
    watcher.signal("SIGSTOP");
    await closed(name);
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan((TIMEOUT_SEC - 1) * 1000);
    // What kept it open would do so for ever; the last command that asks may be slow.
    expect(tookMs).toBeLessThan(TIMEOUT_SEC * 1000 + 6_000);
    expect(await reach(6201)).toBe("");
    await eventually("its connection is forgotten", async () => {
      const { stdout } = await lab.exec(lab.nat, ["conntrack", "-L", "-p", "tcp", "--orig-port-dst", "6200"]);
      return stdout === "" ? true : undefined;
    });
    watcher.signal("SIGCONT");
    expect(await watcher.event("done")).toMatchObject({ error: "ECONNRESET" });
  }, 40_000);
});

describe("a trigger that a second host takes over", () => {
  test("leads to who sent last; traffic keeps it open beyond its timeout; a restart leaves it as it is", async () => {
    writeConfig(site.home, TOML);
    site.child.signal("SIGHUP");
    await eventually("chat is armed", async () => ((await trigger("chat"))?.state === "armed" ? true : undefined));
    await dialOut(lab.agent, 5190);
    expect(await trigger("chat")).toMatchObject({ state: "open", host: lab.agent.v4 });
    await dialOut(lab.other, 5190);
    expect(await trigger("chat")).toMatchObject({ state: "open", host: lab.other.v4 });

    await using keeper = startVisitor(lab, lab.visitor, "keep", lab.nat.v4, 7200);
    await keeper.event("started");
    site.child.signal("SIGKILL");
    await site.child.exited;
    site.child = await launchGateway(lab, site.home);
    // Longer than the timeout, by the kernel's clock, with traffic all the while.
    const untilMs = performance.now() + (TIMEOUT_SEC + 1) * 1000;
    await eventually("later", () => (performance.now() > untilMs ? true : undefined));
    expect(await trigger("chat")).toMatchObject({ state: "open", host: lab.other.v4 });
    keeper.signal("SIGTERM");
    expect(await keeper.event("done")).toMatchObject({ ended: true, error: null, whole: true });
    await closed("chat");
    expect(await reach(7200)).toBe("");
  }, 60_000);

  test("an added one lasts over a restart, and rm closes what is open", async () => {
    const listed = await query<{ triggers: readonly { name: string; origin: string }[] }>(
      lab,
      site.home,
      "trigger",
      "ls",
    );
    expect(listed.triggers).toContainEqual(expect.objectContaining({ name: "game2", origin: "cli" }));
    await dialOut(lab.agent, 4000);
    expect(await trigger("game2")).toMatchObject({ state: "open", host: lab.agent.v4 });
    expect(await reach(6201)).toStartWith(`${lab.visitor.v4} `);
    // Its answers open no other trigger of the same ports.
    expect(await trigger("game")).toMatchObject({ state: "armed" });
    expect((await run(lab, site.home, "trigger", "rm", "game2")).exitCode).toBe(0);
    expect(await trigger("game2")).toBeUndefined();
    expect(await reach(6201)).toBe("");
    const config = await run(lab, site.home, "trigger", "rm", "chat");
    expect([config.exitCode, config.stderr]).toEqual([2, expect.stringContaining("hatchway.toml: change it there")]);
  }, 30_000);
});
