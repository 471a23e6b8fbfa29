import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Gateway, Grant, ListedMapping, MappingWish, RouterFailure } from "../../src/core/router/model.ts";
import { fastestMs } from "../fixtures/fastest.ts";
import type { Child } from "./child.ts";
import { startService, visit, visitUdp } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { MINIUPNPD_EXTERNAL, natBox, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { eventually, listening } from "./ready.ts";

setDefaultTimeout(60_000);

/** The UPnP-IGD client with Debian's miniupnpd as the router. */
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
const CLIENT = join(import.meta.dir, "peers/igd-client.ts");
const WEEK_SEC = 604_800;

let lab: Lab;
let router: Child;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  prepareMiniupnpd(natBox(lab));
  router = await startMiniupnpd(lab, natBox(lab));
  await Promise.all([
    startService(lab, lab.agent, "peer:tcp:8000-8009", "echo:udp:8000-8009"),
    startService(lab, lab.other, "peer:tcp:8000-8009"),
  ]);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

const gatewayOf = (host: Host): Gateway & { version?: 1 | 2 } => ({
  family: 4,
  address: host === lab.agent ? "192.168.77.1" : "192.168.78.1",
  interfaceName: "eth0",
  ownAddress: host.v4,
  metric: 0,
});

function wish(over: Partial<MappingWish> = {}): MappingWish {
  return {
    protocol: "tcp",
    internalAddress: lab.agent.v4,
    internalPort: 8000,
    externalPort: 8000,
    exact: true,
    lifetimeSec: 3600,
    description: "a <web> & more",
    ...over,
  };
}

interface Answer<T> {
  readonly ok: boolean;
  readonly value?: T;
  readonly error?: RouterFailure;
}

interface Probed {
  readonly ok: boolean;
  readonly protocol?: string;
  readonly identity?: object;
  readonly descriptionUrl?: string;
  readonly ignored: readonly string[];
  readonly ms: number;
  readonly error?: RouterFailure;
}

function start(host: Host, steps: readonly string[], over: object = {}): Child {
  return lab.spawn(host, [...BUN, CLIENT, JSON.stringify({ ...gatewayOf(host), ...over }), ...steps]);
}

/** Runs the steps to their end: what each said, in turn, the probe first. */
async function client(host: Host, steps: readonly string[], over: object = {}): Promise<readonly Answer<unknown>[]> {
  await using child = start(host, steps, over);
  expect(await child.exited).toBe(0);
  return child.stdout.map((line) => JSON.parse(line) as Answer<unknown>);
}

function done<T>(answer: Answer<unknown> | undefined): T {
  if (answer?.ok !== true) throw new Error(JSON.stringify(answer));
  return answer.value as T;
}

/** It is what the router's list says is left of it: a second may have gone since it was given. */
function expectLease(answer: Answer<unknown> | undefined, sec: number): void {
  const { lifetimeSec } = done<Grant>(answer);
  expect(lifetimeSec).toBeGreaterThan(sec - 10);
  expect(lifetimeSec).toBeLessThanOrEqual(sec);
}

const step = (name: string, over: Partial<MappingWish> = {}): string => `${name} ${JSON.stringify(wish(over))}`;

const reach = async (port: number): Promise<string | undefined> =>
  (await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", lab.nat.v4, port)).answers[port];

describe("found", () => {
  test("by its answer to the search", async () => {
    const probe = async () => {
      const [probed] = (await client(lab.agent, [])) as unknown as Probed[];
      expect(probed).toMatchObject({
        ok: true,
        protocol: "igd2",
        // miniupnpd names as its page the address of the last network that it serves: another host, to who goes by addresses.
        identity: { manufacturer: "Debian", model: "Debian router 1", name: "Debian router", page: null },
        descriptionUrl: expect.stringMatching(/^http:\/\/192\.168\.77\.1:\d+\/rootDesc\.xml$/),
        ignored: [],
      });
      return probed?.ms ?? Number.NaN;
    };
    expect(await fastestMs(2_000, probe)).toBeLessThan(2_000);
  }, 20_000);

  test("as version 1, when that is wished", async () => {
    const [probed, external] = await client(lab.agent, ["external"], { version: 1 });
    expect(probed).toMatchObject({ ok: true, protocol: "igd1" });
    expect(external).toMatchObject({ ok: true, value: MINIUPNPD_EXTERNAL });
  }, 20_000);

  test("not at an address that is not the router's: its answers come from another one", async () => {
    const [probed] = (await client(lab.agent, [], { address: "192.168.77.9" })) as unknown as Probed[];
    expect(probed).toMatchObject({ ok: false, error: { kind: "silent" } });
    expect(probed?.ignored).toContain("other-host 192.168.77.1");
  }, 20_000);
});

describe("mapped", () => {
  test("TCP: a visitor outside reaches the service until it is deleted", async () => {
    expect(await reach(8000)).toBe("ECONNREFUSED");
    const [, mapped, renewed, held, listed, external, uptime] = await client(lab.agent, [
      step("map"),
      step("renew", { lifetimeSec: 1200 }),
      step("holds"),
      "list",
      "external",
      "uptime",
    ]);
    const lifetimeSec = expect.any(Number) as unknown as number;
    expect(mapped?.value).toEqual({ externalAddress: null, externalPort: 8000, lifetimeSec, ticket: "" });
    expectLease(mapped, 3600);
    expect(renewed?.value).toMatchObject({ externalPort: 8000 } satisfies Partial<Grant>);
    expectLease(renewed, 1200);
    expect(held?.value).toBe(true);
    expect(listed?.value).toMatchObject([
      {
        protocol: "tcp",
        externalPort: 8000,
        internalAddress: lab.agent.v4,
        internalPort: 8000,
        enabled: true,
        description: "a <web> & more",
      },
    ] satisfies Partial<ListedMapping>[]);
    expect([external?.value, typeof uptime?.value]).toEqual([MINIUPNPD_EXTERNAL, "number"]);
    expect(await reach(8000)).toContain(lab.visitor.v4);

    const [, unmapped, again, gone] = await client(lab.agent, [step("unmap"), step("unmap"), step("holds")]);
    expect([unmapped?.ok, again?.ok, gone?.value]).toEqual([true, true, false]);
    expect(await reach(8000)).toBe("ECONNREFUSED");
  }, 60_000);

  test("UDP, to another port inside", async () => {
    const udp = { protocol: "udp", externalPort: 8100, internalPort: 8001 } as const;
    const [, mapped] = await client(lab.agent, [step("map", udp)]);
    expect(mapped?.value).toMatchObject({ externalPort: 8100 });
    expectLease(mapped, 3600);
    const asked = await visitUdp<{ answer: string | null }>(lab, lab.visitor, "ask", lab.nat.v4, 8100, "hello");
    expect(asked.answer).toBe("hello");
    const [, unmapped, held] = await client(lab.agent, [step("unmap", udp), step("holds", udp)]);
    expect([unmapped?.ok, held?.value]).toEqual([true, false]);
  }, 60_000);

  test.each([1, 2] as const)(
    "for good, as version %p: a week, as its own list says",
    async (version) => {
      const [, mapped] = await client(lab.agent, [step("map", { lifetimeSec: null }), step("unmap")], { version });
      expectLease(mapped, WEEK_SEC);
    },
    20_000,
  );

  test("its own port to another place: it moves", async () => {
    const [, , moved, held] = await client(lab.agent, [
      step("map"),
      step("map", { internalPort: 8001 }),
      step("holds", { internalPort: 8001 }),
      step("unmap"),
    ]);
    expect([moved?.ok, held?.value]).toEqual([true, true]);
  }, 20_000);
});

describe("not mapped", () => {
  test("a port of another host's: that is a conflict, and another port if that will do", async () => {
    await client(lab.agent, [step("map")]);
    const others = { internalAddress: lab.other.v4 };
    const [, foreign, exact, any, free, listed, own] = await client(lab.other, [
      step("unmap", others),
      step("map", others),
      step("map", { ...others, exact: false }),
      step("map", { ...others, exact: false, externalPort: 0 }),
      "list",
      step("unmap", others),
    ]);
    expect(foreign).toMatchObject({ ok: false, error: { kind: "refused", code: 606 } });
    expect(exact).toMatchObject({ ok: false, error: { kind: "conflict", code: 718 } });
    expect(any).toMatchObject({ ok: true, value: { externalPort: 8001 } });
    expect(free).toMatchObject({ ok: true, value: { externalPort: 8001 } });
    // It shows the mappings of every host.
    expect(
      done<ListedMapping[]>(listed)
        .map(({ internalAddress }) => internalAddress)
        .toSorted(),
    ).toEqual([lab.agent.v4, lab.other.v4]);
    expect(own?.ok).toBe(true);
    await client(lab.agent, [step("unmap")]);
  }, 60_000);

  test("a port of another host's, as version 1: the caller chooses another", async () => {
    await client(lab.agent, [step("map")]);
    const others = { internalAddress: lab.other.v4, exact: false };
    const [, named, free] = await client(
      lab.other,
      [step("map", others), step("map", { ...others, externalPort: 0 }), step("unmap", others)],
      { version: 1 },
    );
    expect(named).toMatchObject({ ok: false, error: { kind: "conflict" } });
    expect(done<Grant>(free).externalPort).toBeGreaterThanOrEqual(40_000);
    await client(lab.agent, [step("unmap")]);
  }, 60_000);

  test.each([
    ["a port that its configuration denies", { externalPort: 80 }, "refused", 606],
    // In secure mode; the answer is that of a conflict.
    ["for another host", { internalAddress: "192.168.77.9" }, "conflict", 718],
  ] as const)(
    "%s",
    async (_name, over, kind, code) => {
      const [, mapped] = await client(lab.agent, [step("map", over)]);
      expect(mapped).toMatchObject({ ok: false, error: { kind, code } });
    },
    20_000,
  );
});

const pinhole = { internalAddress: "fd00:77::2", lifetimeSec: 600 } as const;

async function linkLocal(): Promise<string> {
  const { stdout } = await lab.exec(lab.nat, ["ip", "-6", "-o", "address", "show", "dev", "lan1", "scope", "link"]);
  const address = /inet6 (fe80::[0-9a-f:]+)\//.exec(stdout)?.[1];
  if (address === undefined) throw new Error(stdout);
  return address;
}

describe("pinholes", () => {
  test.each([
    ["its link-local address, as routes have it", linkLocal],
    ["another address of its", async () => "fd00:77::1"],
  ])(
    "over IPv6, at %s",
    async (_name, address) => {
      const over = { family: 6, address: await address(), ownAddress: "fd00:77::2" };
      const [probed, mapped, held, renewed, unmapped, gone] = await client(
        lab.agent,
        [
          step("map", pinhole),
          step("holds", pinhole),
          step("renew", pinhole),
          step("unmap", pinhole),
          step("holds", pinhole),
        ],
        over,
      );
      expect(probed).toMatchObject({ ok: true, protocol: "igd2" });
      expect(mapped?.value).toMatchObject({ externalAddress: "fd00:77::2", externalPort: 8000, lifetimeSec: 600 });
      expect([held?.value, renewed?.value, unmapped?.ok, gone?.value]).toEqual([true, mapped?.value, true, false]);
    },
    20_000,
  );

  test.each([
    ["over IPv4", {}, {}],
    [
      "below port 1024",
      { family: 6, address: "fd00:77::1", ownAddress: "fd00:77::2" },
      { internalPort: 80, externalPort: 80 },
    ],
  ])(
    "not %s",
    async (_name, over, more) => {
      const [, mapped] = await client(lab.agent, [step("map", { ...pinhole, ...more })], over);
      expect(mapped).toMatchObject({ ok: false, error: { kind: "refused", code: 606 } });
    },
    20_000,
  );
});

describe("started anew", () => {
  const stop = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    router.signal(signal);
    await router.exited;
  };
  /** As the scripts do that start and stop it on a router: else it reads its rules of before. */
  const flush = async (): Promise<void> => {
    for (const chain of ["miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"]) {
      const { exitCode } = await lab.exec(lab.nat, ["nft", "flush", "chain", "inet", "filter", chain]);
      expect(exitCode).toBe(0);
    }
  };

  test.each([
    ["with a farewell", "SIGTERM", flush, false, {}, async () => ({})],
    ["without one, and with its rules of before", "SIGKILL", async () => {}, true, {}, async () => ({})],
    [
      "with a farewell, over IPv6",
      "SIGTERM",
      flush,
      false,
      pinhole,
      async () => ({ family: 6, address: await linkLocal(), ownAddress: "fd00:77::2" }),
    ],
  ] as const)(
    "%s: it is noticed, and found where it is now",
    async (_name, signal, meanwhile, holds, over, gateway) => {
      const steps = [step("map", over), "watch", "wait", step("holds", over), step("renew", over), step("holds", over)];
      await using child = start(lab.agent, steps, await gateway());
      await child.event("watching");
      await listening(child, "udp", 1900);
      const startedSec = Math.floor(Date.now() / 1000);
      await stop(signal);
      await meanwhile();
      // Its number is the second of its start.
      await eventually("the next second", () => (Math.floor(Date.now() / 1000) > startedSec + 1 ? true : undefined));
      const fromLine = child.stdout.length;
      router = await startMiniupnpd(lab, natBox(lab));
      await child.event("forgot", { fromLine });
      child.signal("SIGHUP");
      expect(await child.event("holds", { fromLine })).toMatchObject({ ok: true, value: holds });
      expect(await child.event("renew", { fromLine })).toMatchObject({ ok: true, value: { externalPort: 8000 } });
      const line = child.stdout.findIndex((text) => text.includes('"renew"'));
      expect(await child.event("holds", { fromLine: line })).toMatchObject({ ok: true, value: true });
      await child.kill();
      await client(lab.agent, [step("unmap", over)], await gateway());
    },
    60_000,
  );
});
