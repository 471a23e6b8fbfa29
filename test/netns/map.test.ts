import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Child } from "./child.ts";
import { command, type Home, joinCode, newHome, open, query, run, startAgent, startRelay } from "./hatchway.ts";
import { createHomeLab, HOME, type HomeLab, masquerade } from "./home-lab.ts";
import { startService, visitUdp } from "./kit.ts";
import type { Host } from "./lab.ts";
import { type MiniupnpdPlace, type MiniupnpdSettings, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(100_000);

/** `hatchway map` with Debian's miniupnpd as the router, and visitors outside. */
const place = (lab: HomeLab): MiniupnpdPlace => ({ host: lab.router, wan: "wan", lans: ["lan"], external: null });

async function homeBehindMiniupnpd(
  settings: MiniupnpdSettings = {},
): Promise<{ lab: HomeLab; router: Child; home: Home }> {
  const lab = createHomeLab();
  prepareMiniupnpd(place(lab));
  const router = await startMiniupnpd(lab, place(lab), { enable_natpmp: "yes", ...settings });
  return { lab, router, home: newHome(lab, lab.agent) };
}

/** What the router's own rules lead to. */
async function redirects(lab: HomeLab): Promise<string[]> {
  const { stdout } = await lab.exec(lab.router, ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]);
  return [...stdout.matchAll(/dport (\d+).*dnat ip to ([\d.:]+)/g)].map(([, port, to]) => `${port} → ${to}`).sort();
}

const nowSec = (): number => Math.floor(Date.now() / 1000);

async function portOf(lab: HomeLab, from: Host, address: string, port: number): Promise<string> {
  const reached = await lab.exec(from, [
    "timeout",
    "3",
    "bash",
    "-c",
    `exec 3<>/dev/tcp/${address}/${port}; head -n 1 <&3`,
  ]);
  return reached.stdout.trim();
}

describe.each(["pcp", "nat-pmp", "igd"])("by %s alone", (protocol) => {
  test("TCP, UDP, a list and a range are open to a visitor, and gone after Ctrl-C", async () => {
    const { lab, home } = await homeBehindMiniupnpd();
    await using _lab = lab;
    await startService(lab, lab.agent, "port:tcp:8080-8085", "echo:udp:9000");
    const opened = await open(
      lab,
      home,
      "map",
      "8080, 8082-8084, 9000/udp",
      "--protocol-only",
      protocol,
      "--family",
      "ipv4",
    );
    expect(opened.endpoints).toMatchObject([
      { protocol: "tcp", host: HOME.line, port: 8080, lastPort: 8080, internalPort: 8080 },
      { protocol: "tcp", host: HOME.line, port: 8082, lastPort: 8084, internalPort: 8082 },
      { protocol: "udp", host: HOME.line, port: 9000, lastPort: 9000, internalPort: 9000 },
    ]);
    for (const port of [8080, 8082, 8083, 8084]) {
      expect(await portOf(lab, lab.visitor, HOME.line, port)).toBe(String(port));
    }
    expect(await portOf(lab, lab.visitor, HOME.line, 8081)).toBe("");
    expect(await visitUdp(lab, lab.visitor, "ask", HOME.line, 9000, "hello")).toMatchObject({ answer: "hello" });
    expect((await redirects(lab)).length).toBe(5);
    opened.child.signal("SIGINT");
    expect(await opened.child.exited).toBe(0);
    expect(await redirects(lab)).toEqual([]);
  });

  test("a router that starts again without its leases gets the port back within 10 s", async () => {
    const { lab, home, router } = await homeBehindMiniupnpd();
    await using _lab = lab;
    const startedSec = nowSec();
    await startService(lab, lab.agent, "port:tcp:8080");
    const opened = await open(lab, home, "map", "8080", "--protocol-only", protocol, "--family", "ipv4");
    router.signal("SIGKILL");
    await router.exited;
    lab.nft(lab.router, "flush chain inet filter prerouting_miniupnpd\nflush chain inet filter miniupnpd");
    expect(await redirects(lab)).toEqual([]);
    // It tells its starts apart by the second in which they were (BOOTID.UPNP.ORG). No router starts twice in one.
    await eventually("a later second", async () => (nowSec() > startedSec ? true : undefined), 2000);
    await startMiniupnpd(lab, place(lab), { enable_natpmp: "yes" });
    await eventually("the port again", async () => ((await redirects(lab)).length > 0 ? true : undefined), 10_000);
    expect(await portOf(lab, lab.visitor, HOME.line, 8080)).toBe("8080");
    opened.child.signal("SIGINT");
    await opened.child.exited;
  });
});

test("leases are renewed at their half, and end by themselves after kill -9", async () => {
  const { lab, home } = await homeBehindMiniupnpd({ min_lifetime: "30" });
  await using _lab = lab;
  const ports = { pcp: 8081, "nat-pmp": 8082, igd: 8083 };
  const commands = Object.entries(ports).map(async ([protocol, port]) => {
    const flags = ["--protocol-only", protocol, "--family", "ipv4", "--lifetime", "30s"];
    const child = lab.spawn(lab.agent, command(home, "map", String(port), ...flags, "--json"));
    const first = await child.event<Exposed>("exposed");
    const second = await child.event<Exposed>("exposed", { fromLine: 1, deadlineMs: 30_000 });
    child.signal("SIGKILL");
    await child.exited;
    return [first.leaseEndsMs ?? 0, second.leaseEndsMs ?? 0] as const;
  });
  for (const [firstMs, secondMs] of await Promise.all(commands)) {
    // RFC 6887 §11.2.1: between half and 5/8 of it, later.
    expect(secondMs - firstMs).toBeGreaterThan(14_000);
    expect(secondMs - firstMs).toBeLessThan(21_000);
  }
  expect((await redirects(lab)).length).toBe(3);
  await eventually(
    "the end of the leases",
    async () => ((await redirects(lab)).length === 0 ? true : undefined),
    45_000,
  );
});

test("a port that is taken: another one and a note, or none with --same-port", async () => {
  const { lab, home } = await homeBehindMiniupnpd();
  await using _lab = lab;
  await lab.exec(lab.other, ["upnpc", "-a", HOME.other, "8080", "8080", "tcp", "600"]);
  for (const protocol of ["pcp", "nat-pmp", "igd"]) {
    const child = lab.spawn(lab.agent, command(home, "map", "8080", "--protocol-only", protocol, "--json"));
    const { endpoints, note } = await child.event<Exposed>("exposed");
    expect(endpoints[0]?.port, protocol).not.toBe(8080);
    expect(endpoints[0]?.internalPort).toBe(8080);
    expect(note).toContain("8080/tcp is taken");
    child.signal("SIGINT");
    expect(await child.exited).toBe(0);
    const flags = ["--protocol-only", protocol, "--same-port", "--family", "ipv4"];
    const refused = await run(lab, home, "map", "8080", ...flags);
    expect([refused.exitCode, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toMatch(/8080/);
  }
});

test("an IPv6 pinhole beside the IPv4 mapping, by PCP and by UPnP", async () => {
  const { lab, home } = await homeBehindMiniupnpd({ ipv6_disable: "no" });
  await using _lab = lab;
  await startService(lab, lab.agent, "port:tcp:8080");
  expect(await portOf(lab, lab.visitor, HOME.agent6, 8080)).toBe("");
  for (const protocol of ["pcp", "igd"]) {
    const flags = ["--protocol-only", protocol, "--family", "ipv6"];
    const opened = await open(lab, home, "map", "8080", ...flags);
    expect(opened.endpoints).toMatchObject([{ host: HOME.agent6, port: 8080, internalPort: 8080 }]);
    expect(await portOf(lab, lab.visitor, HOME.agent6, 8080)).toBe("8080");
    opened.child.signal("SIGINT");
    expect(await opened.child.exited).toBe(0);
    expect(await portOf(lab, lab.visitor, HOME.agent6, 8080)).toBe("");
  }
});

test("expose --via router is the same, until Ctrl-C", async () => {
  const { lab, home } = await homeBehindMiniupnpd();
  await using _lab = lab;
  await startService(lab, lab.agent, "port:tcp:8080");
  const opened = await open(lab, home, "expose", "8080", "--via", "router");
  expect(await portOf(lab, lab.visitor, HOME.line, 8080)).toBe("8080");
  opened.child.signal("SIGINT");
  expect(await opened.child.exited).toBe(0);
  expect(await redirects(lab)).toEqual([]);
});

test("without a router that answers: one sentence, and exit code 4", async () => {
  await using lab = createHomeLab();
  lab.nft(lab.router, masquerade("wan", "lan"));
  const ended = await run(lab, newHome(lab, lab.agent), "map", "8080");
  expect([ended.exitCode, ended.stdout]).toEqual([4, ""]);
  expect(ended.stderr).toStartWith("hatchway: The router at 192.168.1.1 answers neither PCP nor NAT-PMP nor UPnP");
  const upnp = await run(lab, newHome(lab, lab.agent), "map", "8080", "--protocol-only", "igd");
  expect(upnp.stderr).toStartWith("hatchway: The router at 192.168.1.1 does not answer UPnP: turn it on");
});

test("an agent without a relay keeps what is listed and what is detached, over a restart", async () => {
  const { lab } = await homeBehindMiniupnpd();
  await using _lab = lab;
  const home = newHome(lab, lab.agent, '[[map]]\nname = "game"\nports = 25565\n');
  const start = async () => {
    const agent = lab.spawn(lab.agent, command(home, "agent", "--no-relay"));
    await eventually("the agent's mappings", async () => {
      const { exitCode, stdout } = await run(lab, home, "map", "ls", "--json");
      return exitCode === 0 && stdout.includes("25565") && stdout.includes('"state":"open"') ? true : undefined;
    });
    return agent;
  };
  const first = await start();
  const detached = await query<{ forward: { state: string } }>(
    lab,
    home,
    "map",
    "9000/udp",
    "--name",
    "voice",
    "--detach",
  );
  expect(detached.forward.state).toBe("open");
  expect(await redirects(lab)).toEqual([`25565 → ${HOME.agent}:25565`, `9000 → ${HOME.agent}:9000`]);
  first.signal("SIGINT");
  expect(await first.exited).toBe(0);
  expect(await redirects(lab)).toEqual([]);
  const second = await start();
  const listed = await run(lab, home, "map", "ls");
  expect(listed.stdout).toMatch(/game +open +9\.9\.9\.20:25565\/tcp +192\.168\.1\.20:25565/);
  expect(listed.stdout).toMatch(/voice +open/);
  const again = await run(lab, home, "map", "25565", "--name", "again", "--detach");
  expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining("asked for twice")]);
  expect((await run(lab, home, "map", "rm", "game")).exitCode).toBe(2);
  expect((await run(lab, home, "map", "rm", "voice")).exitCode).toBe(0);
  expect(await redirects(lab)).toEqual([`25565 → ${HOME.agent}:25565`]);
  expect((await run(lab, home, "status")).stdout).toContain("relay      none");
  second.signal("SIGINT");
  await second.exited;
});

test("a router that is silent does not keep an agent from its relay", async () => {
  await using lab = createHomeLab();
  lab.nft(lab.router, masquerade("wan", "lan"));
  const relay = newHome(lab, lab.relay);
  await startRelay(lab, relay);
  const home = newHome(lab, lab.agent, "[[map]]\nports = 25565\n");
  await startAgent(lab, home, await joinCode(lab, relay, "attic"));
  const { forwards } = await query<{ forwards: readonly { state: string }[] }>(lab, home, "map", "ls");
  expect(forwards.map(({ state }) => state)).toEqual(["waiting"]);
});

interface Exposed {
  readonly endpoints: readonly { readonly port: number; readonly internalPort: number }[];
  readonly leaseEndsMs: number | null;
  readonly note: string | null;
  readonly router: { readonly protocol: string; readonly model: string | null };
}
