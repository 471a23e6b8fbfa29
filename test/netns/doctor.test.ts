import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Child } from "./child.ts";
import {
  command,
  type Home,
  joinCode,
  newHome,
  type Site,
  startAgent,
  startRelay,
  startSite,
  writeConfig,
} from "./hatchway.ts";
import { createHomeLab } from "./home-lab.ts";
import { startService } from "./kit.ts";
import { createLab, type ExecResult, type Lab, type Machines } from "./lab.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(60_000);

/** `hatchway doctor` on machines that are well, and on machines that are not. */
const PASSWORD = "correct-horse-battery";
const GAME = '[[expose]]\nports = 25565\nname = "minecraft"\n';
const PROXY = '[[socks]]\nlisten = 1080\nusername = "gundula"\npassword-file = "proxy-password"\n';
const NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

interface Found {
  readonly id: string;
  readonly section: string;
  readonly state: "ok" | "warning" | "failure" | "skipped";
  readonly sentence: string;
  readonly remedy: string | null;
}
interface Examined {
  readonly exitCode: number;
  readonly worst: string;
  readonly checks: readonly Found[];
  /** Those that are not as they should be, by id. */
  readonly wrong: Readonly<Record<string, Found>>;
}

async function examine(lab: Machines, home: Home, ...as: readonly string[]): Promise<Examined> {
  return parsed(await lab.exec(home.host, [...as, ...command(home, "doctor", "--json")]));
}

function parsed({ exitCode, stdout, stderr }: ExecResult): Examined {
  if (stdout === "") throw new Error(`doctor said nothing: ${stderr}`);
  const { checks, worst } = JSON.parse(stdout) as Pick<Examined, "checks" | "worst">;
  const wrong = checks.filter(({ state }) => state === "failure" || state === "warning");
  return { exitCode, worst, checks, wrong: Object.fromEntries(wrong.map((one) => [one.id, one])) };
}

describe("an agent and its relay", () => {
  let lab: Lab;
  let site: Site;
  let service: Child;
  let code: string;

  beforeAll(async () => {
    lab = createLab();
    site = await startSite(lab);
    await site.agent.kill();
    writeFileSync(join(dirname(site.agentHome.config), "proxy-password"), `${PASSWORD}\n`, { mode: 0o600 });
    writeConfig(site.agentHome, `${GAME}${PROXY}`);
    code = await joinCode(lab, site.relayHome, "gundulas-attic");
    service = await startService(lab, lab.agent, "echo:tcp:25565");
    site.agent = await startAgent(lab, site.agentHome);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test("all is well, on both machines", async () => {
    const agent = await examine(lab, site.agentHome);
    expect(agent.wrong).toEqual({});
    expect(agent).toMatchObject({ exitCode: 0, worst: "ok" });
    const sentences = Object.fromEntries(agent.checks.map(({ id, sentence }) => [id, sentence]));
    expect(sentences["clock"]).toContain("the relay's clock agrees");
    expect(sentences["certificate"]).toContain("the one that the join code named");
    expect(sentences["relay-version"]).toContain("same version");
    expect(sentences["service"]).toContain("by its public port too");
    const relay = await examine(lab, site.relayHome);
    expect(relay.wrong).toEqual({});
    expect(relay.exitCode).toBe(0);
  });

  test("nothing is made or changed by it, and off a terminal a check is a line", async () => {
    const fresh = newHome(lab, lab.visitor);
    const { exitCode, stdout } = await lab.exec(lab.visitor, command(fresh, "doctor"));
    expect(exitCode).toBe(0);
    expect(stdout).toContain("hatchway agent --join CODE");
    expect(stdout).not.toContain("\u001b");
    expect(() => statSync(fresh.data)).toThrow();
  });

  test("the report has no secret, no public address and no name; it replaces no file", async () => {
    const file = join(dirname(site.agentHome.config), "report.txt");
    const asked = command(site.agentHome, "doctor", "--bundle", file);
    const made = await lab.exec(lab.agent, asked);
    expect(made).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("Read it before you send it") });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const report = readFileSync(file, "utf8");
    const key = readFileSync(join(site.agentHome.data, "device-key.pem"), "utf8").split("\n")[1] ?? "";
    expect(key.length).toBeGreaterThan(30);
    for (const secret of [key, code, PASSWORD, "gundula", "minecraft", lab.relay.v4, lab.nat.v4, "attic"]) {
      expect(report).not.toContain(secret);
    }
    expect(report).toContain("address-1");
    expect(report).toContain('"ports": 25565');
    expect(await lab.exec(lab.agent, asked)).toMatchObject({ exitCode: 2 });
    const json = file.replace("txt", "json");
    await lab.exec(lab.relay, command(site.relayHome, "doctor", "--bundle", json));
    expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({ v: 1, kind: "hatchway-report" });
    expect(readFileSync(json, "utf8")).not.toContain("attic");
  });

  test("an ordinary user, who may not look", async () => {
    const home = site.agentHome;
    // What is above the data directory is open to all.
    chmodSync(lab.directory, 0o711);
    chmodSync(dirname(home.config), 0o755);
    const { wrong, exitCode } = await examine(lab, home, ...NOBODY);
    expect(exitCode).toBe(1);
    // The proxy's password is root's as well.
    expect(Object.keys(wrong)).toEqual(["directory", "config"]);
    expect(wrong["config"]?.state).toBe("warning");
    expect(wrong["directory"]).toMatchObject({ state: "failure", remedy: expect.stringContaining("as its owner") });
    const own = await examine(lab, { ...home, data: join(lab.directory, "none") }, ...NOBODY);
    expect(own.wrong["directory"]).toBeUndefined();
  });

  test("a key that others may read", async () => {
    const key = join(site.agentHome.data, "device-key.pem");
    chmodSync(key, 0o644);
    const { wrong, exitCode } = await examine(lab, site.agentHome);
    chmodSync(key, 0o600);
    expect(exitCode).toBe(1);
    expect(wrong["files:device-key.pem"]).toMatchObject({
      section: "data",
      remedy: expect.stringContaining(`chmod 600 ${key}`),
    });
    expect(Object.keys(wrong)).toEqual(["files:device-key.pem"]);
  });

  test("a service that is dead", async () => {
    await service.kill();
    const { wrong } = await examine(lab, site.agentHome);
    expect(Object.keys(wrong)).toEqual(["service:minecraft"]);
    expect(wrong["service:minecraft"]?.sentence).toContain("Nothing listens at 127.0.0.1:25565/tcp");
    service = await startService(lab, lab.agent, "echo:tcp:25565");
  });

  test("a forward that was refused, and a config file with a mistake", async () => {
    writeConfig(site.agentHome, `${GAME}[[expose]]\nports = 80\nname = "web"\n`);
    await site.agent.kill();
    site.agent = await startAgent(lab, site.agentHome);
    const refused = await examine(lab, site.agentHome);
    expect(Object.keys(refused.wrong)).toEqual(["forward:web"]);
    expect(refused.wrong["forward:web"]).toMatchObject({ state: "failure", section: "forwards" });

    writeConfig(site.agentHome, `${GAME}[[expose]]\nprot = "tcp"\nports = 25566\n`);
    const broken = await examine(lab, site.agentHome);
    expect(broken.wrong["config"]?.sentence).toContain(`${site.agentHome.config}:5:1: "prot" is not a key`);
    expect(broken.wrong["config"]?.remedy).toContain("config validate");
    writeConfig(site.agentHome, GAME);
  });

  test("a relay that is down, one that cannot be reached, and another in its place", async () => {
    await site.agent.kill();
    site.agent = await startAgent(lab, site.agentHome);
    await site.relay.kill();
    await site.agent.event("disconnected");
    const down = await eventually("an agent that waits until it tries again", async () => {
      const seen = await examine(lab, site.agentHome);
      return seen.wrong["link"]?.state === "failure" ? seen : undefined;
    });
    expect(down.wrong["connection"]).toMatchObject({ state: "failure", section: "link" });
    expect(down.wrong["connection"]?.sentence).toContain("refuses connections");
    expect(down.exitCode).toBe(1);

    await using other = await startRelay(lab, newHome(lab, lab.relay));
    const rogue = await examine(lab, site.agentHome);
    expect(rogue.wrong["certificate"]).toMatchObject({
      state: "failure",
      remedy: expect.stringContaining("join again"),
    });
    expect(rogue.wrong["connection"]).toBeUndefined();
    await other.kill();

    lab.blackhole();
    const gone = await examine(lab, site.agentHome);
    lab.restore();
    expect(gone.wrong["connection"]?.sentence).toContain("does not answer");
  });

  test("listed forwards, and no agent that runs", async () => {
    await site.agent.kill();
    const { wrong } = await examine(lab, site.agentHome);
    expect(wrong["joined"]).toMatchObject({ state: "failure", remedy: expect.stringContaining("hatchway agent") });
  });

  test("Ctrl-C ends it at once", async () => {
    lab.blackhole();
    const child = lab.spawn(lab.agent, command(site.agentHome, "doctor"));
    await child.line("a finding of the link", (line) => (line.includes("joined") ? line : undefined));
    const startedMs = performance.now();
    child.signal("SIGINT");
    expect(await child.exited).toBe(1);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    lab.restore();
  });
});

test("ports of the router are wanted, and the provider translates; a gateway that is up, with a warning", async () => {
  await using lab = createHomeLab({ above: "cgnat" });
  const router = newHome(lab, lab.router);
  chmodSync(lab.directory, 0o711);
  chmodSync(dirname(router.config), 0o755);
  const gateway = lab.spawn(lab.router, command(router, "gateway", "--wan", "wan", "--lan", "lan", "--json"));
  await gateway.event("ready", { deadlineMs: 20_000 });
  const home = newHome(lab, lab.agent, '[[map]]\nports = 25565\nname = "game"\n');
  const inside = await examine(lab, home);
  expect(inside.wrong["router"]).toMatchObject({ state: "failure", section: "router" });
  expect(inside.wrong["router"]?.sentence).toContain("CGNAT");
  expect(inside.wrong["router"]?.remedy).not.toBeNull();
  expect(inside.wrong["joined"]?.remedy).toContain("hatchway agent --no-relay");

  const onRouter = await examine(lab, router);
  expect(onRouter).toMatchObject({ exitCode: 5, worst: "warning" });
  expect(onRouter.wrong["surroundings"]?.sentence).toContain("CGNAT");
  await lab.exec(lab.router, ["sysctl", "-qw", "net.ipv4.ip_forward=0"]);
  const stopped = await examine(lab, router);
  expect(stopped.wrong["forwarding"]).toMatchObject({ state: "failure", remedy: "sysctl -w net.ipv4.ip_forward=1" });
});
