import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Child } from "./child.ts";
import { type Home, joinCode, newHome, run, startAgent, startRelay, writeConfig } from "./hatchway.ts";
import { createHomeLab, HOME, type HomeLab } from "./home-lab.ts";
import { startService } from "./kit.ts";
import type { Host } from "./lab.ts";
import { type MiniupnpdPlace, type MiniupnpdSettings, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(60_000);

/** `hatchway check` of a port that an agent keeps on a real router, Debian's miniupnpd, and what becomes of it there. */
const HTTP_PORT = "5000";
const DESCRIPTION = `http://${HOME.router}:${HTTP_PORT}/rootDesc.xml`;

interface Report {
  readonly exitCode: number;
  readonly state: string;
  readonly hop: string;
  readonly rule: string;
  readonly sentence: string;
  readonly lines: readonly { readonly hop: string; readonly text: string }[];
}

interface Map {
  readonly ports: string;
  readonly more?: string;
}

interface Site {
  readonly lab: HomeLab;
  readonly home: Home;
  readonly agent: Child;
  readonly router: Child;
}

const place = (lab: HomeLab): MiniupnpdPlace => ({ host: lab.router, wan: "wan", lans: ["lan"], external: null });
const startRouter = (lab: HomeLab, settings: MiniupnpdSettings = {}): Promise<Child> =>
  startMiniupnpd(lab, place(lab), { enable_natpmp: "yes", http_port: HTTP_PORT, ...settings });

/** A relay outside, and an agent that keeps these ports on the router; all are open when it resolves. */
async function homeWith(maps: readonly Map[], settings: MiniupnpdSettings = {}): Promise<Site> {
  const lab = createHomeLab();
  prepareMiniupnpd(place(lab));
  const relay = newHome(lab, lab.relay);
  const [router] = await Promise.all([startRouter(lab, settings), startRelay(lab, relay)]);
  const entries = maps.map(({ ports, more = "" }) => `[[map]]\nports = "${ports}"\nfamily = "ipv4"\n${more}\n`);
  const home = newHome(lab, lab.agent, entries.join("\n"));
  const agent = await startAgent(lab, home, await joinCode(lab, relay, "attic"));
  await eventually("the mappings", async () => {
    return (await listOf(lab, home)).split('"state":"open"').length === maps.length + 1 ? true : undefined;
  });
  return { lab, home, agent, router };
}

/** All that it keeps, with the ends of the leases. */
const listOf = async (lab: HomeLab, home: Home): Promise<string> =>
  (await run(lab, home, "map", "ls", "--json")).stdout;

async function check(lab: HomeLab, home: Home, ...args: readonly string[]): Promise<Report> {
  const { exitCode, stdout, stderr } = await run(lab, home, "check", ...args, "--json");
  if (stdout === "") throw new Error(stderr);
  return { ...(JSON.parse(stdout) as Report), exitCode };
}

/** As any program of a machine of the home may ask for itself. */
async function upnpc(lab: HomeLab, host: Host, ...args: readonly string[]): Promise<string> {
  return (await lab.exec(host, ["upnpc", "-u", DESCRIPTION, ...args])).stdout;
}

/**
 * The router has this one no more, and goes on as if nothing had been: no restart, no word. Taken out of its chain alone,
 * miniupnpd would go on to list what it listed before.
 */
async function forget(lab: HomeLab, port: number, protocol = "tcp"): Promise<void> {
  await upnpc(lab, lab.agent, "-d", String(port), protocol);
  const list = await upnpc(lab, lab.other, "-l");
  expect(list).toContain("ExternalIPAddress = 9.9.9.20");
  expect(list).not.toContain(`${protocol.toUpperCase()} ${String(port).padStart(5)}->`);
  const { stdout: rules } = await lab.exec(lab.router, ["nft", "list", "table", "inet", "filter"]);
  expect(rules).not.toContain(`${protocol} dport ${port}`);
}

const leasesIn = (list: string): string[] => list.match(/"leaseEndsMs":\d+/g) ?? [];
const OPEN = { state: "open", hop: "none", exitCode: 0 };
const FORGOT = { hop: "router", rule: "router forgot", exitCode: 1 };

const TCP = { ports: "8080", port: 8080, protocol: "tcp", args: ["8080"] } as const;
const UDP = { ports: "5353/udp", port: 5353, protocol: "udp", args: ["5353/udp", "--payload", "dns"] } as const;

describe.each([
  ["pcp", [TCP, UDP]],
  ["nat-pmp", [UDP]],
  ["igd", [TCP]],
] as const)("what is kept by %s", (only, kept) => {
  test("open; the router forgot it; open again", async () => {
    const more = `protocol-only = "${only}"`;
    const { lab, home, router } = await homeWith(kept.map(({ ports }) => ({ ports, more })));
    await using _lab = lab;
    await startService(lab, lab.agent, "port:tcp:8080", "dns:udp:5353");
    for (const { args } of kept) expect(await check(lab, home, ...args)).toMatchObject(OPEN);
    const before = await listOf(lab, home);
    for (const { port, protocol } of kept) await forget(lab, port, protocol);
    for (const { args } of kept) {
      expect(await check(lab, home, ...args)).toMatchObject({ ...FORGOT, state: "closed" });
    }
    // Not even mended while it was looked at: the keeper's own question is due in 45 s at the earliest.
    expect(await listOf(lab, home)).toBe(before);
    // A reason to ask again now: it starts anew.
    await router.kill();
    await startRouter(lab);
    await eventually("all mappings again", async () => {
      const leases = leasesIn(await listOf(lab, home));
      return leasesIn(before).some((endsMs, at) => endsMs === leases[at]) ? undefined : true;
    });
    const [{ args }] = kept;
    expect(await check(lab, home, ...args)).toMatchObject(OPEN);
  });
});

test("a router that shows no list: nothing came, and it is the router's", async () => {
  const { lab, home } = await homeWith([{ ports: "8080" }], { enable_upnp: "no" });
  await using _lab = lab;
  await startService(lab, lab.agent, "port:tcp:8080");
  expect(await check(lab, home, "8080")).toMatchObject(OPEN);
  lab.nft(lab.router, "flush chain inet filter prerouting_miniupnpd");
  const shut = { state: "closed", hop: "router", rule: "never came, with a router", exitCode: 1 };
  expect(await check(lab, home, "8080")).toMatchObject(shut);
});

test("a port that the router sends to another machine of the home now", async () => {
  const { lab, home } = await homeWith([{ ports: "8080" }, { ports: "8081" }]);
  await using _lab = lab;
  await startService(lab, lab.agent, "port:tcp:8080-8081");
  await startService(lab, lab.other, "port:tcp:8080");
  for (const port of ["8080", "8081"]) {
    await forget(lab, Number(port));
    await upnpc(lab, lab.other, "-a", HOME.other, port, port, "tcp", "600");
  }
  const theirs = { state: "closed", hop: "router", rule: "router forgot, another has it", exitCode: 1 };
  expect(await check(lab, home, "8080")).toMatchObject(theirs);
  expect(await check(lab, home, "8081")).toMatchObject({ ...FORGOT, state: "closed" });
});

test("a port that is another one inside, and one of another machine", async () => {
  const web = { ports: "8443", more: 'as = 9443\nname = "web"' };
  const theirs = { ports: "8090", more: `to = "${HOME.other}"\nprotocol-only = "igd"` };
  const { lab, home } = await homeWith([web, theirs], { secure_mode: "no" });
  await using _lab = lab;
  await startService(lab, lab.agent, "port:tcp:8443");
  const service = await startService(lab, lab.other, "port:tcp:8090");
  expect(await check(lab, home, "9443")).toMatchObject(OPEN);
  expect(await check(lab, home, "web")).toMatchObject(OPEN);
  expect(await check(lab, home, "8090")).toMatchObject(OPEN);
  await service.kill();
  // The router has it: no word of one that forgot.
  expect(await check(lab, home, "8090")).toMatchObject({ hop: "service", rule: "refused, and nothing listens" });
});

test("a port that the router refuses", async () => {
  const { lab, home, agent } = await homeWith([]);
  await using _lab = lab;
  await upnpc(lab, lab.other, "-a", HOME.other, "8080", "8080", "tcp", "600");
  writeConfig(home, '[[map]]\nports = 8080\nname = "game"\nfamily = "ipv4"\nsame-port = true\n');
  agent.signal("SIGHUP");
  const refused = await eventually("the router's no", async () => {
    const said = await listOf(lab, home);
    return said.includes("is taken") ? await check(lab, home, "game") : undefined;
  });
  expect(refused).toMatchObject({ state: "closed", hop: "router", rule: "port taken here", exitCode: 1 });
  writeConfig(home, "");
  agent.signal("SIGHUP");
  await eventually("nothing kept", async () => ((await listOf(lab, home)).includes("game") ? undefined : true));
  // By IPv6 it is open, and the relay looks by IPv4: there is no mapping that could be forgotten.
  expect((await run(lab, home, "map", "8080", "--same-port", "--detach", "--name", "game")).stdout).toContain(
    HOME.agent6,
  );
  expect(await check(lab, home, "game")).toMatchObject({ hop: "router", rule: "never came, with a router" });
});

test("a port that nobody keeps, since no agent runs", async () => {
  const { lab, home, agent } = await homeWith([{ ports: "8080", more: 'name = "web"' }]);
  await using _lab = lab;
  await startService(lab, lab.agent, "port:tcp:8080");
  agent.signal("SIGINT");
  expect(await agent.exited).toBe(0);
  const left = { state: "closed", hop: "agent", rule: "not run", exitCode: 1 };
  expect(await check(lab, home, "web")).toMatchObject(left);
});
