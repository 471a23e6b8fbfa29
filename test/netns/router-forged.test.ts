import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MAPPING_SERVER_PORT } from "../../src/wire/natpmp.ts";
import { type Child, parseJson } from "./child.ts";
import { command, type Home, newHome, open, query, run } from "./hatchway.ts";
import { createHomeLab, HOME, type HomeLab } from "./home-lab.ts";
import { startService } from "./kit.ts";
import { type MiniupnpdPlace, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { ipBatch, tool } from "./namespaces.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(60_000);

/**
 * A machine of the same LAN speaks in the router's place, in its own name and in the router's: the port is opened by the
 * router all the same, nobody goes to the forger, and each kind is counted, and logged once.
 */
const TIMES = 50;
const FORGER_PORT = 8666;
const ELSEWHERE = `http://${HOME.other}:${FORGER_PORT}/gateway.xml`;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
const peer = (name: string): string => join(import.meta.dir, "peers", `${name}.ts`);

interface Ignored {
  readonly protocol: string;
  readonly reason: string;
  readonly count: number;
}

/** A home whose router is whatever the test starts, and the forger's web server, which counts who comes. */
async function homeWithForger(): Promise<{ lab: HomeLab; home: Home; web: Child }> {
  const lab = createHomeLab();
  // The router's address as well, and no word of it on the link, neither asked nor asking: the router keeps its own.
  for (const setting of ["arp_ignore=1", "arp_announce=2"]) {
    tool(["ip", "netns", "exec", lab.other.namespace, "sysctl", "-qw", `net.ipv4.conf.all.${setting}`]);
  }
  ipBatch(lab.other.namespace, [`address add ${HOME.router}/32 dev lo`]);
  const web = forger(lab, "http", FORGER_PORT);
  await web.event("ready");
  return { lab, home: newHome(lab, lab.agent), web };
}

const forger = (lab: HomeLab, ...args: readonly (string | number)[]): Child =>
  lab.spawn(lab.other, [...BUN, peer("forger"), ...args.map(String)]);

async function forge(lab: HomeLab, ...args: readonly (string | number)[]): Promise<void> {
  const child = forger(lab, ...args);
  expect({ exitCode: await child.exited, stderr: child.stderr }).toEqual({ exitCode: 0, stderr: [] });
}

async function startRouter(lab: HomeLab): Promise<Child> {
  const place: MiniupnpdPlace = { host: lab.router, wan: "wan", lans: ["lan"], external: null };
  prepareMiniupnpd(place);
  return await startMiniupnpd(lab, place, { enable_natpmp: "yes" });
}

/** Without a relay; its log is what --verbose shows. */
async function startAgent(lab: HomeLab, ...only: readonly string[]): Promise<{ home: Home; agent: Child }> {
  const entries = only.map(
    (protocol, at) => `[[map]]\nports = ${8080 + at}\nfamily = "ipv4"\nprotocol-only = "${protocol}"\n`,
  );
  const home = newHome(lab, lab.agent, entries.join("\n"));
  const agent = lab.spawn(lab.agent, command(home, "agent", "--no-relay", "--verbose"));
  await eventually("the mappings", async () => {
    const { stdout } = await run(lab, home, "map", "ls", "--json");
    return stdout.split('"state":"open"').length === only.length + 1 ? true : undefined;
  });
  return { home, agent };
}

/** What the agent counted, once there is so much of each. */
async function ignoredBy(lab: HomeLab, home: Home, wanted: readonly Ignored[]): Promise<readonly Ignored[]> {
  let counted: readonly Ignored[] = [];
  const isAll = async () => {
    ({ ignored: counted } = (await query<{ agent: { ignored: readonly Ignored[] } }>(lab, home, "status")).agent);
    const has = ({ protocol, reason, count }: Ignored) =>
      counted.some((one) => one.protocol === protocol && one.reason === reason && one.count >= count);
    return wanted.every(has) ? true : undefined;
  };
  // What is missing shows best where it is compared.
  await eventually("the counts", isAll).catch(() => undefined);
  return counted;
}

/** The reasons of the log's lines, each as often as it stands there. */
const reasonsIn = (stderr: readonly string[]): string[] =>
  stderr.flatMap((line) => line.match(/is ignored: .*?([a-z-]+)"?\s*(?:\w+=|$)/)?.[1] ?? []).sort();

async function reach(lab: HomeLab, port: number): Promise<string> {
  const script = `exec 3<>/dev/tcp/${HOME.line}/${port}; head -n 1 <&3`;
  return (await lab.exec(lab.visitor, ["timeout", "3", "bash", "-c", script])).stdout.trim();
}

const portMap = (reason: string, count = TIMES): Ignored => ({ protocol: "PCP or NAT-PMP", reason, count });
const upnp = (reason: string, count = TIMES): Ignored => ({ protocol: "UPnP", reason, count });

test("answers to a search, from another host and in the router's name: map and router go by the router's own", async () => {
  const { lab, home, web } = await homeWithForger();
  await using _lab = lab;
  await startRouter(lab);
  await startService(lab, lab.agent, "port:tcp:8080");
  for (const from of [HOME.other, HOME.router]) {
    // Six kinds of search are heard, and more when they are sent again.
    await forger(lab, "answer", from, ELSEWHERE, Math.ceil(TIMES / 6)).event("ready");
  }
  const looked = await run(lab, home, "router", "--no-stun", "--json", "--verbose");
  const report = parseJson(looked.stdout) as unknown as { protocols: unknown; ignored: readonly Ignored[] };
  expect(report.protocols).toContainEqual({ protocol: "igd2", router: HOME.router, failure: null });
  for (const reason of ["other-host", "location-elsewhere"]) {
    const counted = report.ignored.find((one) => one.protocol === "UPnP" && one.reason === reason);
    expect(counted?.count, reason).toBeGreaterThanOrEqual(TIMES);
  }
  expect(reasonsIn(looked.stderr.split("\n"))).toEqual(["location-elsewhere", "other-host"]);
  expect((await run(lab, home, "router", "--no-stun")).stdout).toMatch(/ignored +.*\d+ UPnP other-host/);

  const opened = await open(lab, home, "map", "8080", "--protocol-only", "igd", "--family", "ipv4", "--verbose");
  expect(opened.endpoints).toMatchObject([{ host: HOME.line, port: 8080 }]);
  expect(await reach(lab, 8080)).toBe("8080");
  opened.child.signal("SIGINT");
  expect(await opened.child.exited).toBe(0);
  expect(reasonsIn(opened.child.stderr)).toEqual(["location-elsewhere", "other-host"]);
  expect(web.stdout).toEqual(['{"event":"ready"}']);
});

describe("a router that is none of ours: one sentence, and nobody goes where it points", () => {
  test.each([
    [
      "its control elsewhere",
      { controlUrl: `http://${HOME.other}:${FORGER_PORT}/ctl` },
      "describes its port mapping as being at another host, which is not followed",
      ["control-elsewhere"],
    ],
    ["an XML bomb as description", { bomb: "description" }, "describes itself in no way that can be read (dtd)", []],
    ["an XML bomb as answer", { bomb: "soap" }, "answered AddPortMapping in no way that can be read (dtd)", []],
  ] as const)("%s", async (_, how, sentence, reasons) => {
    const { lab, home, web } = await homeWithForger();
    await using _lab = lab;
    await lab.spawn(lab.router, [...BUN, peer("fake-igd"), HOME.router, JSON.stringify(how)]).event("ready");
    const flags = ["--protocol-only", "igd", "--family", "ipv4", "--verbose"];
    const startedMs = performance.now();
    const ended = await run(lab, home, "map", "8080", ...flags);
    expect([ended.exitCode === 0, ended.stdout]).toEqual([false, ""]);
    expect(ended.stderr).toContain(sentence);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(reasonsIn(ended.stderr.split("\n"))).toEqual([...reasons]);
    expect(web.stdout).toEqual(['{"event":"ready"}']);
  });
});

/** The port that the agent asks a router's port 5351 from. */
function askingPort({ pid }: Child): number {
  const to = `:${MAPPING_SERVER_PORT.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const row of readFileSync(`/proc/${pid}/net/udp`, "utf8").split("\n")) {
    const [, local = "", remote = ""] = row.trim().split(/\s+/);
    if (remote.endsWith(to)) return Number.parseInt(local.split(":")[1] ?? "", 16);
  }
  throw new Error("the agent asks nobody");
}

/** Resolves when a question waits at the router, which is held up. */
async function questionWaits({ pid }: Child): Promise<void> {
  const own = `:${MAPPING_SERVER_PORT.toString(16).toUpperCase().padStart(4, "0")}`;
  await eventually("a question at the router", () => {
    const rows = readFileSync(`/proc/${pid}/net/udp`, "utf8").split("\n");
    const queues = rows.map((row) => row.trim().split(/\s+/)).filter(([, local = ""]) => local.endsWith(own));
    return queues.some(([, , , , queue = ""]) => !queue.endsWith(":00000000")) ? true : undefined;
  });
}

describe.each([
  ["pcp", [portMap("other-host"), portMap("other-nonce"), portMap("other-port")]],
  ["nat-pmp", [portMap("other-host"), portMap("other-port")]],
] as const)("a grant that is not the router's, by %s", (protocol, wanted) => {
  test("while a question waits for its answer", async () => {
    const { lab } = await homeWithForger();
    await using _lab = lab;
    const router = await startRouter(lab);
    await startService(lab, lab.agent, "port:tcp:8080-8081");
    const { home, agent } = await startAgent(lab, protocol);
    router.signal("SIGSTOP");
    const args = ["map", "8081", "--protocol-only", protocol, "--family", "ipv4", "--detach", "--json"];
    const asking = lab.spawn(lab.agent, command(home, ...args));
    await questionWaits(router);
    const port = askingPort(agent);
    for (const { reason } of wanted) {
      const from = reason === "other-host" ? HOME.other : reason === "other-port" ? HOME.router : TRUE_PORT;
      await forge(lab, protocol, from, port, 8081, TIMES);
    }
    // At once: the question waits for no more than 4 s. What was forged is heard before the answer.
    router.signal("SIGCONT");
    expect(await asking.exited).toBe(0);
    const counted = await ignoredBy(lab, home, wanted);
    expect(parseJson(asking.stdout.join(""))).toMatchObject({
      forward: { state: "open", endpoints: [{ host: HOME.line, port: 8081 }] },
    });
    expect(await reach(lab, 8081)).toBe("8081");
    expect(counted).toEqual(expect.arrayContaining([...wanted]));
    expect(reasonsIn(agent.stderr)).toEqual(wanted.map(({ reason }) => reason));
    expect((await run(lab, home, "status")).stdout).toContain(`${TIMES} PCP or NAT-PMP other-host`);
  });
});

const TRUE_PORT = `${HOME.router}:${MAPPING_SERVER_PORT}`;

test("a restart that another host announces changes nothing; one in the router's name costs a renewal", async () => {
  const { lab, web } = await homeWithForger();
  await using _lab = lab;
  const router = await startRouter(lab);
  await startService(lab, lab.agent, "port:tcp:8080-8081");
  const { home, agent } = await startAgent(lab, "pcp", "igd");
  const leases = async () =>
    (await query<{ forwards: readonly { leaseEndsMs: number }[] }>(lab, home, "map", "ls")).forwards.map(
      ({ leaseEndsMs }) => leaseEndsMs,
    );
  const before = await leases();
  await forge(lab, "epoch", HOME.other, TIMES);
  await forge(lab, "alive", HOME.other, ELSEWHERE, TIMES);
  const others = [portMap("other-announcement", 2 * TIMES), upnp("other-announcement")];
  expect(await ignoredBy(lab, home, others)).toEqual(expect.arrayContaining(others));
  expect(await leases()).toEqual(before);

  const startedMs = performance.now();
  await forge(lab, "epoch", HOME.router, TIMES);
  await forge(lab, "alive", HOME.router, ELSEWHERE, TIMES);
  const all = [...others, upnp("location-elsewhere")];
  expect(await ignoredBy(lab, home, all)).toEqual(expect.arrayContaining(all));
  for (const port of [8080, 8081]) expect(await reach(lab, port)).toBe(String(port));
  await eventually("a renewal of each", async () => {
    const now = await leases();
    return now.every((endsMs, at) => endsMs !== before[at]) ? true : undefined;
  });
  await forge(lab, "epoch", HOME.router, TIMES);
  await forge(lab, "alive", HOME.router, ELSEWHERE, TIMES);
  const twice = [...others, upnp("location-elsewhere", 2 * TIMES)];
  expect(await ignoredBy(lab, home, twice)).toEqual(expect.arrayContaining(twice));
  // The first one and the renewal; of two hundred announcements one counts in 30 s, which a slow machine may take.
  const atMost = 2 + Math.ceil((performance.now() - startedMs) / 30_000);
  for (const asked of [/PCP MAP: added/, /AddPortMapping: ext port/]) {
    expect(router.stderr.filter((line) => asked.test(line)).length).toBeLessThanOrEqual(atMost);
  }
  expect(reasonsIn(agent.stderr)).toEqual(["location-elsewhere", "other-announcement", "other-announcement"]);
  expect(web.stdout).toEqual(['{"event":"ready"}']);
});
