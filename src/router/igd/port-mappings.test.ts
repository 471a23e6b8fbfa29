import { describe, expect, test } from "bun:test";
import type { FakeIgdOptions, FakeMapping, Misbehaviour } from "../../../test/fixtures/fake-router/igd.ts";
import { HELD, IgdBench, WISH } from "../../../test/fixtures/fake-router/igd-bench.ts";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import type { Grant, MappingWish, RouterFailureKind } from "../../core/router/model.ts";

const WEEK_SEC = 604_800;
const OTHERS: FakeMapping = { client: "127.0.0.5", internalPort: 80, enabled: true, description: "", leaseSec: 0 };
const OURS: FakeMapping = { ...OTHERS, client: "127.0.0.1" };
const ANY = { externalPort: 0, exact: false } as const;

interface Case {
  readonly name: string;
  readonly options?: Omit<FakeIgdOptions, "ssdpPort">;
  readonly faults?: Partial<Misbehaviour>;
  readonly mappings?: Readonly<Record<string, FakeMapping>>;
  readonly wish?: Partial<MappingWish>;
  readonly held?: Grant;
  readonly expected: Partial<Grant> | { readonly kind: RouterFailureKind; readonly code?: number | null };
  /** Every action, in turn. */
  readonly asked?: readonly string[];
}

const V2 = { version: 2 } as const;
const ADD = "AddPortMapping";
const ADD_ANY = "AddAnyPortMapping";
const LOOK = "GetSpecificPortMappingEntry";

function refusing(codes: Readonly<Record<string, number>>): Partial<Misbehaviour> {
  return { refuse: (action) => codes[action] ?? null };
}

/** As MikroTik does it. */
const noLeases = (code: number): Partial<Misbehaviour> => ({
  refuse: (action, args) => (action.startsWith("Add") && args.get("NewLeaseDuration") !== "0" ? code : null),
});

const CASES: readonly Case[] = [
  {
    name: "as it is wished",
    expected: { externalPort: 8080, lifetimeSec: 3600, externalAddress: null, ticket: "" },
    asked: [ADD, LOOK],
  },
  { name: "UDP", wish: { protocol: "udp" }, expected: { externalPort: 8080 } },
  { name: "of a PPP line", options: { lines: [{ name: "WANPPPConnection" }] }, expected: { externalPort: 8080 } },
  { name: "for good, of version 1", wish: { lifetimeSec: null }, expected: { lifetimeSec: null } },
  { name: "for good, of version 2", options: V2, wish: { lifetimeSec: null }, expected: { lifetimeSec: WEEK_SEC } },
  { name: "renewed", held: HELD, mappings: { "tcp 8080": OURS }, expected: { externalPort: 8080 }, asked: [ADD, LOOK] },

  {
    name: "a router without leases that says so",
    faults: noLeases(725),
    expected: { lifetimeSec: null },
    asked: [ADD, ADD, LOOK],
  },
  { name: "a router without leases that calls them invalid", faults: noLeases(402), expected: { lifetimeSec: null } },
  { name: "a router without leases that just fails", faults: noLeases(501), expected: { lifetimeSec: null } },
  {
    name: "a router of version 2 without leases, by its own list",
    options: V2,
    faults: noLeases(725),
    expected: { lifetimeSec: WEEK_SEC },
  },

  {
    name: "another's port, and that or none",
    mappings: { "tcp 8080": OTHERS },
    expected: { kind: "conflict", code: 718 },
  },
  {
    name: "another's port of version 1",
    mappings: { "tcp 8080": OTHERS },
    wish: { exact: false },
    expected: { kind: "conflict" },
  },
  {
    name: "another's port of version 2",
    options: V2,
    mappings: { "tcp 8080": OTHERS },
    wish: { exact: false },
    expected: { externalPort: 8081 },
    asked: [ADD, LOOK, ADD_ANY, LOOK],
  },
  { name: "any port of version 2", options: V2, wish: ANY, expected: { externalPort: 80 }, asked: [ADD_ANY, LOOK] },
  { name: "any port of version 1", wish: ANY, expected: { externalPort: 80 } },
  {
    name: "any port of version 1, and the inner one is another's",
    mappings: { "tcp 80": OTHERS },
    wish: ANY,
    expected: { externalPort: 45_000 },
  },
  {
    name: "held, and another has it now",
    held: HELD,
    mappings: { "tcp 8080": OTHERS },
    wish: { exact: false },
    expected: { kind: "conflict" },
  },

  {
    name: "a router that fails for what is taken",
    faults: refusing({ [ADD]: 501 }),
    expected: { kind: "conflict", code: 501 },
  },
  {
    name: "a router without a line fails as well",
    options: { lines: [{ status: "Disconnected" }] },
    faults: refusing({ [ADD]: 501 }),
    expected: { kind: "no-uplink" },
  },
  { name: "not permitted", faults: refusing({ [ADD]: 606 }), expected: { kind: "refused", code: 606 }, asked: [ADD] },
  { name: "no room", faults: refusing({ [ADD]: 728 }), expected: { kind: "exhausted", code: 728 } },
  { name: "in use by the router", faults: refusing({ [ADD]: 729 }), expected: { kind: "conflict", code: 729 } },
  { name: "not there", faults: refusing({ [ADD]: 401 }), expected: { kind: "unsupported" } },
  { name: "its own code", faults: refusing({ [ADD]: 899 }), expected: { kind: "refused", code: 899 } },
  {
    name: "a router that keeps port numbers",
    wish: { exact: false },
    faults: {
      refuse: (action, args) =>
        action === ADD && args.get("NewExternalPort") !== args.get("NewInternalPort") ? 724 : null,
    },
    expected: { externalPort: 80 },
  },

  {
    name: "yes, and nothing there",
    faults: { pretend: true },
    expected: { kind: "refused", code: null },
    asked: [ADD, LOOK],
  },
  {
    name: "yes, and it leads to another port",
    faults: { pretend: true },
    mappings: { "udp 8080": { ...OTHERS, client: "127.0.0.1", internalPort: 81 } },
    wish: { protocol: "udp" },
    expected: { kind: "refused" },
  },
  {
    name: "yes, and it is switched off",
    faults: { pretend: true },
    mappings: { "tcp 8080": { ...OURS, enabled: false } },
    expected: { kind: "refused" },
  },
  {
    name: "a router that does not tell",
    faults: refusing({ [LOOK]: 402 }),
    expected: { externalPort: 8080, lifetimeSec: 3600 },
  },
  {
    name: "a router that cannot tell",
    faults: refusing({ [LOOK]: 602 }),
    expected: { externalPort: 8080, lifetimeSec: 3600 },
  },
  {
    name: "a shorter lease than was asked for",
    faults: { pretend: true },
    mappings: { "tcp 8080": { ...OURS, leaseSec: 120 } },
    expected: { lifetimeSec: 120 },
  },
];

describe("map", () => {
  test.each(CASES.map((one) => [one.name, one] as const))("%s", async (_name, one) => {
    await using bench = await IgdBench.start(one.options);
    const mapper = await bench.mapper();
    Object.assign(bench.fake.faults, one.faults);
    for (const [key, mapping] of Object.entries(one.mappings ?? {})) bench.fake.mappings.set(key, { ...mapping });
    const mapped = await mapper.map({ ...WISH, ...one.wish }, one.held ?? null, bench.signal);
    if ("kind" in one.expected) {
      expect(mapped).toMatchObject({
        ok: false,
        error: { ...one.expected, message: expect.stringMatching(/^[A-Z].*[.]$/) },
      });
    } else expect(mapped).toMatchObject({ ok: true, value: one.expected });
    if (one.asked !== undefined) expect(bench.fake.asked.map(({ action }) => action)).toEqual([...one.asked]);
  });

  test("what is asked, in the words of the standard", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    await mapper.map(WISH, null, bench.signal);
    expect(bench.fake.asked[0]).toEqual({
      serviceType: "urn:schemas-upnp-org:service:WANIPConnection:1",
      action: ADD,
      args: new Map([
        ["NewRemoteHost", ""],
        ["NewExternalPort", "8080"],
        ["NewProtocol", "TCP"],
        ["NewInternalPort", "80"],
        ["NewInternalClient", "127.0.0.1"],
        ["NewEnabled", "1"],
        ["NewPortMappingDescription", "web & more"],
        ["NewLeaseDuration", "3600"],
      ]),
    });
  });

  test("yes, and another has the port: the sentence says who", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    bench.fake.faults.refuse = (action) => {
      if (action === LOOK) bench.fake.mappings.set("tcp 8080", { ...OTHERS });
      return null;
    };
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({
      ok: false,
      error: { kind: "conflict", message: expect.stringContaining("127.0.0.5") },
    });
  });

  test("a router that takes no port twice: the mapping of the same host is deleted, and made anew", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    bench.fake.mappings.set("tcp 8080", { ...OURS });
    bench.fake.faults.refuse = (action) => (action === ADD && bench.fake.mappings.has("tcp 8080") ? 718 : null);
    expect(await mapper.map(WISH, HELD, bench.signal)).toMatchObject({ ok: true, value: { externalPort: 8080 } });
    expect(bench.fake.asked.map(({ action }) => action)).toEqual([ADD, LOOK, "DeletePortMapping", ADD, LOOK]);
  });

  test("a router without leases is remembered", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    Object.assign(bench.fake.faults, noLeases(725));
    await mapper.map(WISH, null, bench.signal);
    bench.fake.asked.length = 0;
    expect(await mapper.map({ ...WISH, externalPort: 8081 }, null, bench.signal)).toMatchObject({ ok: true });
    expect(bench.fake.asked.map(({ action, args }) => [action, args.get("NewLeaseDuration")])).toEqual([
      [ADD, "0"],
      [LOOK, undefined],
    ]);
  });

  test("a router that cannot tell is asked once", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    Object.assign(bench.fake.faults, refusing({ [LOOK]: 401 }));
    await mapper.map(WISH, null, bench.signal);
    await mapper.map({ ...WISH, externalPort: 8081 }, null, bench.signal);
    expect(bench.fake.count(LOOK)).toBe(1);
  });

  test("another host's port: asked from this machine's address", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    expect(await mapper.map({ ...WISH, internalAddress: "127.0.0.7" }, null, bench.signal)).toMatchObject({ ok: true });
    expect(bench.fake.mappings.get("tcp 8080")?.client).toBe("127.0.0.7");
    expect(new Set(bench.fake.callers)).toEqual(new Set(["127.0.0.1"]));
  });

  test("many at once are asked one by one", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    const ports = Array.from({ length: 20 }, (_, at) => 8000 + at);
    const mapped = await Promise.all(
      ports.map((externalPort) => mapper.map({ ...WISH, externalPort }, null, bench.signal)),
    );
    expect(mapped.filter(({ ok }) => ok)).toHaveLength(20);
    expect(bench.fake.mostAtOnce).toBe(1);
  });

  test("a router that says nothing costs one deadline, and not one for each port", async () => {
    await using bench = await IgdBench.start();
    const timers = new ManualTimers();
    const mapper = await bench.mapper({ after: timers.after });
    bench.fake.faults.silentHttp = true;
    const mapping = [8080, 8081, 8082].map((externalPort) => mapper.map({ ...WISH, externalPort }, null, bench.signal));
    await bench.fake.counted(ADD);
    await timers.fire(3000);
    for (const one of mapping) expect(await one).toMatchObject({ ok: false, error: { kind: "silent" } });
    expect(bench.fake.count(ADD)).toBe(1);
  });

  test("a slow router is waited for until the deadline", async () => {
    await using bench = await IgdBench.start();
    const timers = new ManualTimers();
    const mapper = await bench.mapper({ after: timers.after });
    const slowness = Promise.withResolvers<void>();
    bench.fake.faults.slowness = slowness.promise;
    const mapping = mapper.map(WISH, null, bench.signal);
    await timers.waiting(3000);
    slowness.resolve();
    expect(await mapping).toMatchObject({ ok: true });
  });

  test("a router that forgets without a word: it is asked anew", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    const mapped = await mapper.map(WISH, null, bench.signal);
    if (!mapped.ok) throw new Error(mapped.error.message);
    bench.fake.reboot({ bootId: bench.fake.bootId, silently: true });
    expect(await mapper.holds(WISH, mapped.value, bench.signal)).toEqual({ ok: true, value: false });
    expect(await mapper.map(WISH, mapped.value, bench.signal)).toEqual(mapped);
    expect(await mapper.holds(WISH, mapped.value, bench.signal)).toEqual({ ok: true, value: true });
  });

  test("an answer that makes no sense", async () => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    bench.fake.faults.garble = () => Buffer.from("<html>Sign in</html>");
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({ ok: false, error: { kind: "garbled" } });
  });
});

describe("holds", () => {
  const table: readonly (readonly [
    name: string,
    mapping: FakeMapping | null,
    code: number | null,
    expected: boolean | null,
  ])[] = [
    ["as it was", OURS, null, true],
    ["none", null, null, false],
    ["none, in other words", null, 713, false],
    ["another's", OTHERS, null, false],
    ["leading to another port", { ...OURS, internalPort: 81 }, null, false],
    ["switched off", { ...OURS, enabled: false }, null, false],
    ["of nobody in particular", { ...OURS, client: "" }, null, true],
    ["it cannot tell", OURS, 401, null],
    ["it does not tell", OURS, 501, null],
    ["a name in place of an address", { ...OURS, client: "my-pc" }, null, null],
  ];
  test.each(table)("%s", async (_name, mapping, code, expected) => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    if (mapping !== null) bench.fake.mappings.set("tcp 8080", { ...mapping });
    bench.fake.faults.refuse = () => code;
    expect(await mapper.holds(WISH, HELD, bench.signal)).toEqual({ ok: true, value: expected });
  });
});

describe("unmap", () => {
  test.each([
    ["what is there", true, {}, true],
    ["what is not there", false, {}, true],
    ["what is not there, in other words", false, { DeletePortMapping: 501 }, true],
    ["what is not permitted", true, { DeletePortMapping: 606 }, false],
  ] as const)("%s", async (_name, there, codes, expected) => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    if (there) bench.fake.mappings.set("tcp 8080", { ...OURS });
    Object.assign(bench.fake.faults, refusing(codes));
    const unmapped = await mapper.unmap(WISH, HELD, bench.signal);
    expect(unmapped.ok).toBe(expected);
    if (expected) expect(bench.fake.mappings.size).toBe(0);
    else expect(unmapped).toMatchObject({ error: { kind: "refused" } });
  });
});

describe("what the router says of itself", () => {
  test.each([
    ["11.22.33.44", "11.22.33.44"],
    ["192.168.5.2", "192.168.5.2"],
    [" 11.22.33.44\n", "11.22.33.44"],
    ["0.0.0.0", null],
    ["", null],
    ["unknown", null],
    ["2001:db8::1", null],
  ])("the external address %j: %p", async (external, expected) => {
    await using bench = await IgdBench.start({ lines: [{ external }] });
    const mapper = await bench.mapper();
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: expected });
  });

  test.each([401, 501, 606])("no external address: %p", async (code) => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    bench.fake.faults.refuse = () => code;
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: null });
    expect(await mapper.uptimeSec(bench.signal)).toEqual({ ok: true, value: null });
  });

  test.each([
    [1000, 1000],
    [0, 0],
    [Number.NaN, null],
    [-1, null],
  ])("an uptime of %p", async (uptimeSec, expected) => {
    await using bench = await IgdBench.start();
    const mapper = await bench.mapper();
    bench.fake.uptimeSec = uptimeSec;
    expect(await mapper.uptimeSec(bench.signal)).toEqual({ ok: true, value: expected });
  });
});
