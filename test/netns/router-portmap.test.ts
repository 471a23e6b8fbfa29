import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Gateway, Grant, MappingWish, RouterFailure } from "../../src/core/router/model.ts";
import { MAPPING_SERVER_PORT } from "../../src/wire/natpmp.ts";
import { fastestMs } from "../fixtures/fastest.ts";
import type { Child } from "./child.ts";
import { CONNECTS_OR_NOT, startService, visit, visitUdp } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { MINIUPNPD_EXTERNAL, type MiniupnpdSettings, natBox, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { tool } from "./namespaces.ts";
import { eventually, listening } from "./ready.ts";

setDefaultTimeout(60_000);

/** The PCP and NAT-PMP client, and the routes it finds its router by, with Debian's miniupnpd as the router. */
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
const CLIENT = join(import.meta.dir, "peers/portmap-client.ts");
const PROTOCOLS = ["pcp", "nat-pmp"] as const;
type Protocol = (typeof PROTOCOLS)[number];

let lab: Lab;
let router: Child;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  prepareMiniupnpd(natBox(lab));
  await Promise.all([
    startRouter(),
    startService(lab, lab.agent, "peer:tcp:8000-8009", "echo:udp:8000-8009"),
    startService(lab, lab.other, "peer:tcp:8000-8009"),
  ]);
  await lab.exec(lab.visitor, ["ip", "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

async function startRouter(settings: MiniupnpdSettings = {}): Promise<void> {
  router = await startMiniupnpd(lab, natBox(lab), { enable_natpmp: "yes", min_lifetime: "10", ...settings });
  await listening(router, "udp", MAPPING_SERVER_PORT);
}

interface Answer {
  readonly event: string;
  readonly ok: boolean;
  readonly value?: unknown;
  readonly error?: RouterFailure;
}

interface Options {
  readonly family?: 4 | 6;
  readonly only?: Protocol;
  readonly gateway?: object;
}

const start = (host: Host, steps: readonly string[], options: Options = {}): Child =>
  lab.spawn(host, [...BUN, CLIENT, JSON.stringify(options), ...steps]);

/** Runs the steps to their end: what each said, in turn. */
async function client(host: Host, steps: readonly string[], options: Options = {}): Promise<readonly Answer[]> {
  await using child = start(host, steps, options);
  const exitCode = await child.exited;
  expect({ exitCode, stderr: child.stderr }).toEqual({ exitCode: 0, stderr: [] });
  return child.stdout.map((line) => JSON.parse(line) as Answer);
}

function wish(over: Partial<MappingWish> = {}): MappingWish {
  return {
    protocol: "tcp",
    internalAddress: lab.agent.v4,
    internalPort: 8000,
    externalPort: 8000,
    exact: true,
    lifetimeSec: 600,
    description: "web",
    ...over,
  };
}
const step = (name: string, over: Partial<MappingWish> = {}): string => `${name} ${JSON.stringify(wish(over))}`;

function grantOf(answer: Answer | undefined): Grant {
  if (answer?.ok !== true) throw new Error(JSON.stringify(answer));
  return answer.value as Grant;
}

const reach = async (port: number): Promise<string | undefined> =>
  (await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", lab.nat.v4, port)).answers[port];

describe("the router is found", () => {
  test("by the routes of both families, each with the address to map to", async () => {
    const [network] = await client(lab.agent, ["network"]);
    expect(network).toMatchObject({
      gateways: [
        { family: 4, address: "192.168.77.1", interfaceName: "eth0", ownAddress: lab.agent.v4, metric: 0 },
        { family: 6, address: "fd00:77::1", interfaceName: "eth0", ownAddress: lab.agent.v6, metric: 1024 },
      ],
      pointToPoint: [],
      problem: null,
    });
  });

  test("a VPN that takes all is seen, and is no router", async () => {
    const ip = (...argv: string[]) => tool(["ip", "-n", lab.agent.namespace, ...argv]);
    ip("tuntap", "add", "tun0", "mode", "tun");
    ip("link", "set", "tun0", "up");
    ip("route", "add", "0.0.0.0/1", "dev", "tun0");
    try {
      const [network] = await client(lab.agent, ["network"]);
      expect(network).toMatchObject({
        gateways: [{ ownAddress: lab.agent.v4 }, { ownAddress: lab.agent.v6 }],
        pointToPoint: [{ family: 4, interfaceName: "tun0", metric: -1 }],
      });
    } finally {
      ip("link", "delete", "tun0");
    }
  });

  test("a temporary address is not mapped to, though it is a better one", async () => {
    const ip = (...argv: string[]) => tool(["ip", "-n", lab.agent.namespace, ...argv]);
    const lasting = "2a02:77::5/64";
    tool(["ip", "netns", "exec", lab.agent.namespace, "sysctl", "-qw", "net.ipv6.conf.eth0.use_tempaddr=2"]);
    // The kernel makes one beside it.
    ip("address", "add", lasting, "dev", "eth0", "nodad", "mngtmpaddr");
    try {
      const temporary = await eventually("a temporary address", () => {
        const shown = ip("-6", "-o", "address", "show", "dev", "eth0", "temporary", "-tentative");
        return shown.match(/inet6 (2a02:77:\S+)\//)?.[1];
      });
      const ownAddress = async () => {
        const [network] = await client(lab.agent, ["network"]);
        return (network as unknown as { gateways: Gateway[] }).gateways.find(({ family }) => family === 6)?.ownAddress;
      };
      expect(await ownAddress()).toBe("2a02:77::5");
      ip("address", "change", lasting, "dev", "eth0", "preferred_lft", "0", "mngtmpaddr");
      expect(await ownAddress()).toBe(lab.agent.v6);
      expect(temporary).not.toBe("2a02:77::5");
    } finally {
      ip("address", "delete", lasting, "dev", "eth0");
    }
  }, 20_000);

  test("and speaks both, within a moment", async () => {
    const probe = async () => {
      const [probed] = await client(lab.agent, ["probe"]);
      expect(probed).toMatchObject({ pcp: "pcp", natPmp: "nat-pmp", ignored: [] });
      return (probed as unknown as { ms: number }).ms;
    };
    expect(await fastestMs(500, probe)).toBeLessThan(500);
  });

  test("a host where nothing listens is known at once", async () => {
    const probe = async () => {
      const [probed] = await client(lab.agent, ["probe"], { gateway: { address: "203.0.113.10" } });
      expect(probed).toMatchObject({ pcp: "closed", natPmp: "closed" });
      return (probed as unknown as { ms: number }).ms;
    };
    expect(await fastestMs(1_000, probe)).toBeLessThan(1_000);
  });
});

describe.each(PROTOCOLS)("%s", (only) => {
  test("TCP: a visitor reaches the service until it is deleted, twice is no error", async () => {
    expect(await reach(8000)).toBe("ECONNREFUSED");
    await using child = start(
      lab.agent,
      [
        step("map"),
        ...Array.from({ length: 4 }, () => step("renew", { lifetimeSec: 1200 })),
        ...["external", "uptime", "wait"],
        ...[step("unmap"), step("unmap")],
      ],
      { only },
    );
    const made = grantOf(await child.event<Answer>("map"));
    expect(made).toMatchObject({
      externalAddress: only === "pcp" ? MINIUPNPD_EXTERNAL : null,
      externalPort: 8000,
      lifetimeSec: 600,
    });
    expect(await child.event<Answer>("external")).toMatchObject({ value: MINIUPNPD_EXTERNAL });
    // No answer says which of the questions about a port it is to: where one was asked twice, the next has its second answer.
    const renewals = child.stdout.map((line) => JSON.parse(line) as Answer).filter(({ event }) => event === "renew");
    expect(renewals.map(grantOf)).toContainEqual({ ...made, lifetimeSec: 1200 });
    expect(await child.event<Answer>("uptime")).toMatchObject({ value: expect.any(Number) });
    expect(await reach(8000)).toContain(lab.visitor.v4);
    child.signal("SIGHUP");
    expect(await child.exited).toBe(0);
    expect(child.stdout.slice(-2).map((line) => JSON.parse(line))).toEqual([
      { event: "unmap", ok: true, value: null },
      { event: "unmap", ok: true, value: null },
    ]);
    expect(await reach(8000)).toBe("ECONNREFUSED");
  }, 20_000);

  test("UDP, at another port than inside", async () => {
    const udp = { protocol: "udp", internalPort: 8001, externalPort: 8101 } as const;
    await using child = start(lab.agent, [step("map", udp), "wait", step("unmap", udp)], { only });
    expect(grantOf(await child.event<Answer>("map"))).toMatchObject({ externalPort: 8101 });
    expect(await visitUdp<object>(lab, lab.visitor, "ask", lab.nat.v4, 8101, "hello")).toMatchObject({
      answer: "hello",
    });
    child.signal("SIGHUP");
    expect(await child.exited).toBe(0);
  }, 20_000);

  test("a port of another host: a conflict that leaves nothing, or the next port", async () => {
    const theirs = { internalAddress: lab.other.v4, internalPort: 8002, externalPort: 8002 };
    const ours = { internalPort: 8003, externalPort: 8002 };
    const loose = { ...ours, exact: false };
    await using holder = start(lab.other, [step("map", theirs), "wait", step("unmap", theirs)], { only });
    expect(await holder.event<Answer>("map")).toMatchObject({ ok: true });
    const [refused] = await client(lab.agent, [step("map", ours)], { only });
    expect(refused).toMatchObject({ ok: false, error: { kind: "conflict" } });
    expect(await reach(8003)).toBe("ECONNREFUSED");
    expect(await reach(8002)).toContain(lab.visitor.v4);
    const [made, unmapped] = await client(lab.agent, [step("map", loose), step("unmap", loose)], { only });
    expect(grantOf(made).externalPort).toBe(8003);
    expect(unmapped).toMatchObject({ ok: true });
    holder.signal("SIGHUP");
    expect(await holder.event<Answer>("unmap")).toMatchObject({ ok: true });
  }, 30_000);

  test.each([
    ["that counts from its own start", "no"],
    ["that counts from the machine's start, as most do", "yes"],
  ])(
    "a restart of a router %s is noticed within seconds",
    async (_, systemUptime) => {
      await router.kill();
      await startRouter({ system_uptime: systemUptime });
      // Its epoch must be old enough for a new one to show: RFC 6886 §3.6 allows for 2 s.
      await eventually("an epoch that a new one differs from", async () => {
        const [told] = await client(lab.agent, ["uptime"], { only });
        return Number(told?.value) >= 4 ? told : undefined;
      });
      await using child = start(lab.agent, [step("map"), "watch", "wait", step("renew"), "wait", step("unmap")], {
        only,
      });
      grantOf(await child.event<Answer>("map"));
      await child.event("watching");
      expect(await reach(8000)).toContain(lab.visitor.v4);
      await router.kill();
      // What it held goes with the kernel's rules; killed, it leaves them.
      tool([
        "ip",
        "netns",
        "exec",
        lab.nat.namespace,
        "nft",
        "flush",
        "chain",
        "inet",
        "filter",
        "prerouting_miniupnpd",
      ]);
      tool(["ip", "netns", "exec", lab.nat.namespace, "nft", "flush", "chain", "inet", "filter", "miniupnpd"]);
      expect(await reach(8000)).toBe("ECONNREFUSED");
      const killedMs = performance.now();
      await startRouter({ system_uptime: systemUptime });
      await child.event("forgot", { deadlineMs: 5_000 });
      expect(performance.now() - killedMs).toBeLessThan(5_000);
      child.signal("SIGHUP");
      expect(grantOf(await child.event<Answer>("renew"))).toMatchObject({ externalPort: 8000 });
      expect(await reach(8000)).toContain(lab.visitor.v4);
      child.signal("SIGHUP");
      expect(await child.event<Answer>("unmap")).toMatchObject({ ok: true });
      expect(await reach(8000)).toBe("ECONNREFUSED");
    },
    30_000,
  );
});

test("PCP: a port that its rules keep back is as good as taken", async () => {
  // Not NAT-PMP, nor any port: for a refusal miniupnpd 2.3.1 looks at its rules once for each of 65,535 external ports,
  // and here it tells each time.
  const [refused] = await client(lab.agent, [step("map", { internalPort: 22, externalPort: 8004 })]);
  expect(refused).toMatchObject({ ok: false, error: { kind: "conflict", code: 11 } });
}, 20_000);

describe("IPv6 by PCP", () => {
  /** What is not let in is dropped without a word. */
  async function reach6(): Promise<string> {
    const url = `http://[${lab.agent.v6}]:8005/`;
    return (await lab.exec(lab.visitor, ["curl", "--http0.9", "--noproxy", "-", "-s", ...CONNECTS_OR_NOT, url])).stdout;
  }

  let pinhole: Partial<MappingWish>;
  beforeAll(() => {
    pinhole = { internalAddress: lab.agent.v6, internalPort: 8005, externalPort: 0 };
  });

  async function opensAndCloses(): Promise<void> {
    expect(await reach6()).toBe("");
    await using child = start(lab.agent, [step("map", pinhole), "wait", step("unmap", pinhole)], { family: 6 });
    expect(grantOf(await child.event<Answer>("map"))).toMatchObject({
      externalAddress: lab.agent.v6,
      externalPort: 8005,
      lifetimeSec: 600,
    });
    expect(await reach6()).toContain("2001:db8:113::1");
    child.signal("SIGHUP");
    expect(await child.exited).toBe(0);
    expect(JSON.parse(child.stdout.at(-1) ?? "{}")).toEqual({ event: "unmap", ok: true, value: null });
    expect(await reach6()).toBe("");
  }

  test("a pinhole by the router's global address", opensAndCloses, 30_000);

  test("a pinhole by its link-local one, as advertised routes name it", async () => {
    const shown = tool(["ip", "-n", lab.nat.namespace, "-6", "-o", "address", "show", "dev", "lan1", "scope", "link"]);
    const linkLocal = shown.match(/inet6 (\S+)\//)?.[1] ?? "";
    const route = (...argv: string[]) => tool(["ip", "-n", lab.agent.namespace, "-6", "route", ...argv]);
    route("replace", "default", "via", linkLocal, "dev", "eth0");
    try {
      const [network, probed] = await client(lab.agent, ["network", "probe"], { family: 6 });
      expect(network).toMatchObject({ gateways: [{}, { address: linkLocal, ownAddress: lab.agent.v6 }] });
      expect(probed).toMatchObject({ pcp: "pcp", natPmp: "unsupported", ignored: [] });
      await opensAndCloses();
    } finally {
      route("replace", "default", "via", "fd00:77::1", "dev", "eth0");
    }
  }, 30_000);

  test("one that was renewed is not deleted, and ends soon after", async () => {
    const steps = [step("map", pinhole), step("renew", pinhole), step("unmap", pinhole)];
    const [made, renewed, unmapped] = await client(lab.agent, steps, { family: 6 });
    expect(grantOf(renewed).ticket).toBe(grantOf(made).ticket);
    expect(unmapped).toMatchObject({ ok: false, error: { kind: "refused", code: 2 } });
    expect(unmapped?.error?.message).toContain("it closes by itself within 10 s");
    const closed = async () => ((await reach6()) === "" ? true : undefined);
    await eventually("the pinhole closed", closed, 20_000);
  }, 30_000);
});
