import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Home, joinCode, newHome, open, run, type Site, startAgent, startSite, writeConfig } from "./hatchway.ts";
import { curl, startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";

setDefaultTimeout(100_000);

/**
 * `hatchway check` and what is in the way: real sockets, a real router, real firewalls. The lab's own addresses are of
 * the documentation ranges, which no relay checks; these are as public as any, and lead nowhere from these namespaces.
 */
const NETWORK = "45.0.113";
const RELAY = `${NETWORK}.1`;
const NAT = `${NETWORK}.20`;
const VISITOR = `${NETWORK}.10`;
const LAN_AGENT = "192.168.77.2";

let lab: Lab;
let site: Site;

interface Report {
  readonly state: string;
  readonly hop: string;
  readonly sure: boolean;
  readonly rule: string;
  readonly sentence: string;
}

beforeAll(() => {
  const made = createLab();
  for (const [host, last] of [
    [made.relay, 1],
    [made.nat, 20],
    [made.visitor, 10],
  ] as const) {
    const link = host === made.nat ? "wan" : "eth0";
    tool(["ip", "-n", host.namespace, "address", "add", `${NETWORK}.${last}/24`, "dev", link]);
  }
  lab = { ...made, relay: { ...made.relay, v4: RELAY } };
});
afterAll(() => lab[Symbol.asyncDispose]());

function nft(host: Host, rules: string): void {
  tool(["ip", "netns", "exec", host.namespace, "nft", "-f", "-"], rules);
}

/** A table of this test's own, gone when it is disposed of. */
function firewall(host: Host, rules: string): Disposable {
  nft(host, `table inet checks {\n${rules}\n}\n`);
  return { [Symbol.dispose]: () => nft(host, "delete table inet checks\n") };
}

function drops(host: Host, match: string, how = "drop"): Disposable {
  return firewall(host, `chain in {\ntype filter hook input priority -5;\n${match} ${how}\n}`);
}

/** The router forwards the port to the agent's machine, and no other. */
function forwardsPort(port: number, protocol = "tcp"): Disposable {
  nft(lab.nat, `insert rule inet lab forward ct status dnat accept\n`);
  return firewall(
    lab.nat,
    `chain pre {\ntype nat hook prerouting priority -100;\niifname "wan" ${protocol} dport ${port} dnat ip to ${LAN_AGENT}\n}`,
  );
}

async function check(home: Home, ...args: readonly string[]): Promise<Report & { exitCode: number; stderr: string }> {
  const { exitCode, stdout, stderr } = await run(lab, home, "check", ...args, "--json");
  const report = stdout === "" ? {} : (JSON.parse(stdout) as Report);
  return { ...(report as Report), exitCode, stderr };
}

/** A relay and its agent for each group: a relay counts the checks that it makes. */
async function freshSite(toml: { relay?: string; agent?: string } = {}): Promise<void> {
  site = await startSite(lab, toml);
}

async function endSite(): Promise<void> {
  await Promise.all([site.agent.kill(), site.relay.kill()]);
}

describe("a forward of the relay", () => {
  beforeAll(() => freshSite(), 30_000);
  afterAll(endSite);

  test("open, TCP and UDP", async () => {
    await using _ = await startService(lab, lab.agent, "echo:tcp:25565", "dns:udp:5353", "silent:udp:5354");
    await using __ = await open(lab, site.agentHome, "expose", "25565", "--name", "game");
    expect(await check(site.agentHome, "25565")).toMatchObject({ state: "open", hop: "none", sure: true, exitCode: 0 });
    expect(await check(site.agentHome, "game")).toMatchObject({ state: "open", exitCode: 0 });
    expect(await check(site.agentHome, `${RELAY}:25565/tcp`)).toMatchObject({ state: "open", exitCode: 0 });
    await using ___ = await open(lab, site.agentHome, "expose", "5353-5354/udp");
    expect(await check(site.agentHome, "5353/udp", "--payload", "dns")).toMatchObject({ state: "open", hop: "none" });
    expect(await check(site.agentHome, "5354/udp")).toMatchObject({
      state: "open",
      rule: "came through, and is not answered by design",
    });
  }, 30_000);

  test("service down, TCP and UDP", async () => {
    await using _ = await open(lab, site.agentHome, "expose", "7001", "--protocol", "tcp+udp");
    const down = { state: "dead-service", hop: "service", sure: true, exitCode: 1 };
    const standing = { ...down, rule: "nothing listens; the way is open" };
    expect(await check(site.agentHome, "7001")).toMatchObject(standing);
    expect(await check(site.agentHome, "7001/udp")).toMatchObject(standing);
    // On another machine nothing can stand in for it.
    await using __ = await open(lab, site.agentHome, "expose", "7002", "--to", "192.168.77.1");
    expect(await check(site.agentHome, "7002")).toMatchObject({ ...down, rule: "service down" });
  }, 30_000);

  test("UDP service silent", async () => {
    await using _ = await startService(lab, lab.agent, "silent:udp:5355");
    await using __ = await open(lab, site.agentHome, "expose", "5355/udp");
    const silent = await check(site.agentHome, "5355/udp", "--payload", "dns");
    expect(silent).toMatchObject({ state: "dead-service", hop: "service", rule: "service silent", exitCode: 1 });
  }, 30_000);

  test("forward disabled", async () => {
    writeConfig(site.agentHome, '[[expose]]\nports = 7003\nname = "off"\nenabled = false\n');
    site.agent.signal("SIGHUP");
    await using _ = await open(lab, site.agentHome, "expose", "7099");
    const off = { state: "closed", hop: "policy", rule: "disabled", exitCode: 1 };
    expect(await check(site.agentHome, "off")).toMatchObject(off);
    expect(await check(site.relayHome, "off")).toMatchObject(off);
  }, 30_000);

  test("port taken on the relay, by another program and by another device", async () => {
    await using _ = await startService(lab, lab.relay, "echo:tcp:7004");
    writeConfig(site.agentHome, '[[expose]]\nports = 7004\nname = "late"\n');
    await site.agent.kill();
    site.agent = await startAgent(lab, site.agentHome);
    const taken = { state: "closed", hop: "relay", rule: "port taken", exitCode: 1 };
    expect(await check(site.agentHome, "late")).toMatchObject(taken);
    expect(await check(site.agentHome, "7004")).toMatchObject(taken);
    const theirs = await check(site.relayHome, "7004");
    expect(theirs).toMatchObject({ hop: "relay", rule: "no forward, and something else answers" });
  }, 30_000);

  test("source not allowed", async () => {
    await using _ = await startService(lab, lab.agent, "echo:tcp:7005");
    await using __ = await open(lab, site.agentHome, "expose", "7005", "--name", "few", "--allow", "198.51.100.0/24");
    const report = await check(site.agentHome, "few");
    expect(report).toMatchObject({ state: "closed", hop: "policy", rule: "source not allowed", exitCode: 1 });
    expect(report.sentence).toContain(NAT);
    expect(await check(site.relayHome, "few")).toMatchObject({ hop: "policy", rule: "source not allowed" });
  }, 30_000);

  for (const how of ["drop", "reject with tcp reset"]) {
    test(`a firewall of the relay's machine (${how})`, async () => {
      await using _ = await startService(lab, lab.agent, "echo:tcp:7006");
      await using __ = await open(lab, site.agentHome, "expose", "7006");
      using ___ = drops(lab.relay, "tcp dport 7006", how);
      const state = how === "drop" ? "filtered" : "closed";
      expect(await check(site.agentHome, "7006")).toMatchObject({ state, hop: "relay", sure: false, exitCode: 1 });
    }, 30_000);
  }

  test("no forward there", async () => {
    expect(await check(site.agentHome, `${RELAY}:7077`)).toMatchObject({
      state: "closed",
      hop: "relay",
      rule: "no forward",
    });
    expect(await check(site.relayHome, "7077")).toMatchObject({ state: "closed", hop: "relay", rule: "no forward" });
    expect(await check(site.agentHome, "nothing")).toMatchObject({ exitCode: 2 });
  }, 30_000);

  test("agent away: asked on the relay, and where the agent should run", async () => {
    writeConfig(site.agentHome, '[[expose]]\nports = 7007\nname = "kept"\nlifetime = "permanent"\n');
    await site.agent.kill();
    site.agent = await startAgent(lab, site.agentHome);
    await using _ = await startService(lab, lab.agent, "echo:tcp:7007");
    expect(await check(site.agentHome, "kept")).toMatchObject({ state: "open" });
    expect(await check(site.relayHome, "kept")).toMatchObject({ state: "open" });
    await site.agent.kill();
    const away = { state: "closed", hop: "agent", sure: true, exitCode: 1 };
    expect(await check(site.relayHome, "kept")).toMatchObject({ ...away, rule: "agent away" });
    expect(await check(site.agentHome, "kept")).toMatchObject({ ...away, rule: "not run" });
    site.agent = await startAgent(lab, site.agentHome);
  }, 30_000);

  test("no way to the relay, and a relay that stopped", async () => {
    await using _ = await open(lab, site.agentHome, "expose", "7008");
    await site.relay.kill();
    await site.agent.line("the end of the link", (line) => (line.includes("disconnected") ? line : undefined));
    const dead = await check(site.agentHome, "7008");
    expect(dead).toMatchObject({ state: "closed", hop: "agent", exitCode: 1 });
    lab.blackhole();
    const gone = await check(site.agentHome, "7008");
    lab.restore();
    expect(gone).toMatchObject({ state: "filtered", hop: "relay", exitCode: 1 });
  }, 30_000);
});

describe("a port of this machine's own address", () => {
  beforeEach(() => freshSite(), 30_000);
  afterEach(endSite);

  test("open, TCP and UDP", async () => {
    await using _ = await startService(lab, lab.agent, "echo:tcp:7101", "dns:udp:7101");
    {
      using __ = forwardsPort(7101);
      expect(await check(site.agentHome, "7101")).toMatchObject({ state: "open", hop: "none", exitCode: 0 });
      expect(await check(site.agentHome, `${NAT}:7101`)).toMatchObject({ state: "open", exitCode: 0 });
    }
    using ___ = forwardsPort(7101, "udp");
    const udp = await check(site.agentHome, "7101/udp", "--payload", "dns");
    expect(udp).toMatchObject({ state: "open", hop: "none", exitCode: 0 });
  }, 30_000);

  test("service down: the way is tried with a stand-in, TCP and UDP", async () => {
    const down = { state: "dead-service", hop: "service", sure: true, exitCode: 1 };
    {
      using _ = forwardsPort(7102);
      expect(await check(site.agentHome, "7102")).toMatchObject(down);
    }
    using __ = forwardsPort(7102, "udp");
    expect(await check(site.agentHome, "7102/udp")).toMatchObject(down);
  }, 30_000);

  for (const { how, state } of [
    { how: "drop", state: "filtered" },
    { how: "reject with tcp reset", state: "closed" },
  ]) {
    test(`host firewall (${how}), seen by root`, async () => {
      await using _ = await startService(lab, lab.agent, "echo:tcp:7103");
      using __ = forwardsPort(7103);
      using ___ = drops(lab.agent, 'iifname "eth0" tcp dport 7103', how);
      const shut = { state, hop: "host-firewall", sure: true, rule: "firewall here, seen", exitCode: 1 };
      expect(await check(site.agentHome, "7103")).toMatchObject(shut);
    }, 30_000);
  }

  test("host firewall drops datagrams, seen by root", async () => {
    await using _ = await startService(lab, lab.agent, "dns:udp:7104");
    using __ = forwardsPort(7104, "udp");
    using ___ = drops(lab.agent, 'iifname "eth0" udp dport 7104');
    const shut = { state: "filtered", hop: "host-firewall", sure: true, exitCode: 1 };
    expect(await check(site.agentHome, "7104/udp", "--payload", "dns")).toMatchObject(shut);
  }, 30_000);

  test("UDP service silent", async () => {
    await using _ = await startService(lab, lab.agent, "silent:udp:7105");
    using __ = forwardsPort(7105, "udp");
    const silent = { state: "dead-service", hop: "service", rule: "service silent", exitCode: 1 };
    expect(await check(site.agentHome, "7105/udp", "--payload", "dns")).toMatchObject(silent);
    const quiet = await check(site.agentHome, "7105/udp", "--payload", "wireguard");
    expect(quiet).toMatchObject({ state: "open", rule: "came, and is not answered by design", exitCode: 0 });
  }, 30_000);

  test("no forward in the router: nothing comes", async () => {
    await using _ = await startService(lab, lab.agent, "echo:tcp:7106");
    // A packet to a port that nobody has is refused by the router itself, or dropped as most of them do.
    const closed = await check(site.agentHome, "7106");
    expect(closed).toMatchObject({ state: "closed", hop: "router", sure: true, exitCode: 1 });
    using __ = drops(lab.nat, "tcp dport 7106");
    expect(await check(site.agentHome, "7106")).toMatchObject({ state: "filtered", hop: "router", sure: true });
  }, 30_000);

  test("router forgot", async () => {
    await using _ = await startService(lab, lab.agent, "echo:tcp:7107");
    const forgot = await withRouter(7107, { holds: false, nat: null });
    expect(forgot).toMatchObject({ state: "closed", hop: "router", rule: "router forgot" });
    const shared = await withRouter(7107, { holds: true, nat: "cgnat" });
    expect(shared).toMatchObject({ state: "closed", hop: "isp", rule: "carrier-grade NAT" });
  }, 30_000);

  test("a service on the loopback address only", async () => {
    await using _ = await startService(lab, lab.agent, "--host", "127.0.0.1", "echo:tcp:7108");
    using __ = forwardsPort(7108);
    const loopback = { state: "closed", hop: "service", rule: "loopback only", exitCode: 1 };
    expect(await check(site.agentHome, "7108")).toMatchObject(loopback);
  }, 30_000);
});

/** Checks at an agent of its own, whose router says this. */
async function withRouter(port: number, router: unknown): Promise<Report> {
  const home = newHome(lab, lab.agent);
  const code = await joinCode(lab, site.relayHome, `router${port}${JSON.stringify(router).length}`);
  const program = join(import.meta.dir, "peers/check-agent.ts");
  const argv = [process.execPath, "--no-env-file", program, home.data, code, String(port), JSON.stringify(router)];
  await using child = lab.spawn(lab.agent, argv);
  return await child.event<Report & Record<string, unknown>>("report");
}

describe("what the relay refuses", () => {
  beforeEach(() => freshSite(), 30_000);
  afterEach(endSite);

  test("any address but the asker's own, without a packet to it", async () => {
    using counted = outgoing(lab.relay);
    for (const host of [VISITOR, LAN_AGENT, "127.0.0.1", "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]", "[::1]"]) {
      const { exitCode, stderr } = await check(site.agentHome, `${host}:22/tcp`);
      expect({ host, exitCode, says: stderr.includes("checks only the address that asks") }).toEqual({
        host,
        exitCode: 3,
        says: true,
      });
    }
    expect(counted.bytes("probes")).toBe(0);
  }, 30_000);

  test("an asker whose address is not public, unless the operator allows it", async () => {
    const home = newHome(lab, lab.other, `[agent]\nrelay = "203.0.113.1:7744"\n`);
    await using _ = await startAgent(lab, home, await joinCode(lab, site.relayHome, "cellar"));
    const refused = await check(home, "7201");
    expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("not a public address") });
    writeConfig(site.relayHome, "[check]\nprivate = true\n");
    site.relay.signal("SIGHUP");
    expect(await check(home, "7201")).toMatchObject({ exitCode: 1, state: "closed" });
  }, 30_000);

  test("more than a few checks a minute", async () => {
    const codes: number[] = [];
    for (let n = 0; n < 6; n++) codes.push((await check(site.agentHome, "7202")).exitCode);
    expect(codes).toEqual([1, 1, 1, 1, 1, 1]);
    // At once: one after the other they may be as slow as the relay allows.
    const more = await Promise.all(Array.from({ length: 4 }, () => check(site.agentHome, "7202")));
    expect(more).toContainEqual(
      expect.objectContaining({ exitCode: 3, stderr: expect.stringContaining("check again in") }),
    );
  }, 30_000);
});

/** Counts what a relay sends to the agents' address, and what comes from there: the tunnel apart from all else. */
function outgoing(host: Host): Disposable & { bytes(name: "probes" | "asked"): number } {
  const table = firewall(
    host,
    `counter probes { }
counter asked { }
chain out {
type filter hook output priority 0;
ip daddr 45.0.113.20 tcp sport != 7744 counter name probes
ip daddr 45.0.113.20 meta l4proto != tcp counter name probes
ip daddr { 45.0.113.10, 192.168.77.2, 169.254.169.254, 10.0.0.1 } counter name probes
}
chain in {
type filter hook input priority 0;
ip saddr 45.0.113.20 tcp dport 7744 counter name asked
}`,
  );
  const list = ["ip", "netns", "exec", host.namespace, "nft", "-j", "list", "counters", "table", "inet", "checks"];
  return {
    bytes(name) {
      const { nftables } = JSON.parse(tool(list)) as { nftables: { counter?: { name: string; bytes: number } }[] };
      return nftables.find(({ counter }) => counter?.name === name)?.counter?.bytes ?? Number.NaN;
    },
    [Symbol.dispose]: table[Symbol.dispose],
  };
}

describe("no amplification: the relay sends no more bytes than it was sent", () => {
  beforeEach(() => freshSite(), 30_000);
  afterEach(endSite);

  for (const { name, args, router } of [
    { name: "TCP, dropped", args: ["7301"], router: "drop" },
    { name: "TCP, refused", args: ["7302"], router: "reject" },
    { name: "UDP, the longest payload, dropped", args: ["7303/udp", "--payload", "quic"], router: "drop" },
    { name: "UDP, the shortest payload, dropped", args: ["7304/udp", "--payload", "dns"], router: "drop" },
  ]) {
    test(name, async () => {
      using _ = drops(lab.nat, "th dport 7301-7304", router);
      using counted = outgoing(lab.relay);
      await check(site.agentHome, ...args);
      const [out, into] = [counted.bytes("probes"), counted.bytes("asked")];
      expect(out).toBeGreaterThan(0);
      expect(out).toBeLessThanOrEqual(into);
    }, 30_000);
  }
});

describe("the page", () => {
  const PAGE = "8089";
  beforeAll(() => freshSite({ relay: `[check]\nlisten = "0.0.0.0:${PAGE}"\n` }), 30_000);
  afterAll(endSite);

  const post = async (...fields: readonly string[]) => {
    const args = fields.flatMap((field) => ["-d", field]);
    return JSON.parse((await curl(lab, lab.visitor, ...args, `http://${RELAY}:${PAGE}/`)).stdout);
  };

  test("looks at its visitor's own port, whatever the visitor says of itself", async () => {
    await using _ = await startService(lab, lab.visitor, "echo:tcp:7401", "dns:udp:7402");
    const open = { v: 1, address: VISITOR, state: "open" };
    expect(await post("port=7401")).toMatchObject({ ...open, port: 7401, protocol: "tcp" });
    expect(await post("port=7402", "as=dns")).toMatchObject({ ...open, protocol: "udp" });
    expect(await post("port=7403", "address=203.0.113.20")).toMatchObject({ address: VISITOR, state: "closed" });
    const forged = ["-H", `X-Forwarded-For: ${NAT}`, "-d", "port=7401", `http://${RELAY}:${PAGE}/`];
    expect(JSON.parse((await curl(lab, lab.visitor, ...forged)).stdout)).toMatchObject(open);
    using __ = drops(lab.visitor, "tcp dport 7404");
    expect(await post("port=7404")).toMatchObject({ address: VISITOR, state: "filtered" });
  }, 30_000);

  test("has no port for a forward", async () => {
    const { exitCode, stderr } = await run(lab, site.agentHome, "forward", "add", PAGE);
    expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringContaining("the relay's check page") });
  });
});
