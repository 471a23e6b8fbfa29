import { describe, expect, test } from "bun:test";
import type { Misbehaviour } from "../../../test/fixtures/fake-router/igd.ts";
import { IgdBench, WISH } from "../../../test/fixtures/fake-router/igd-bench.ts";
import type { Grant, MappingWish, RouterFailureKind } from "../../core/router/model.ts";

const PINHOLE: MappingWish = { ...WISH, internalAddress: "2001:db8::5", internalPort: 8080, externalPort: 8080 };
const DAY_SEC = 86_400;
const grant = (over: Partial<Grant> = {}): Grant => ({
  externalAddress: "2001:db8::5",
  externalPort: 8080,
  lifetimeSec: 3600,
  ticket: "1",
  ...over,
});

function refusing(codes: Readonly<Record<string, number>>): Partial<Misbehaviour> {
  return { refuse: (action) => codes[action] ?? null };
}

describe("map", () => {
  const table: readonly (readonly [
    name: string,
    wish: Partial<MappingWish>,
    held: Grant | null,
    faults: Partial<Misbehaviour>,
    expected: Partial<Grant> | RouterFailureKind,
    asked: readonly string[],
  ])[] = [
    ["as it is wished", {}, null, {}, grant(), ["GetFirewallStatus", "AddPinhole"]],
    [
      "for good: a day",
      { lifetimeSec: null },
      null,
      {},
      grant({ lifetimeSec: DAY_SEC }),
      ["GetFirewallStatus", "AddPinhole"],
    ],
    [
      "for a month: a day",
      { lifetimeSec: 2_592_000 },
      null,
      {},
      { lifetimeSec: DAY_SEC },
      ["GetFirewallStatus", "AddPinhole"],
    ],
    [
      "any port: the inner one",
      { externalPort: 0, exact: false },
      null,
      {},
      grant(),
      ["GetFirewallStatus", "AddPinhole"],
    ],
    ["another port, if it must be", { externalPort: 81 }, null, {}, "refused", []],
    [
      "another port, if it may be: the inner one",
      { externalPort: 81, exact: false },
      null,
      {},
      grant(),
      ["GetFirewallStatus", "AddPinhole"],
    ],
    [
      "renewed, and gone",
      {},
      grant({ ticket: "9" }),
      {},
      grant(),
      ["UpdatePinhole", "GetFirewallStatus", "AddPinhole"],
    ],
    [
      "renewed, and gone in miniupnpd's words",
      {},
      grant(),
      refusing({ UpdatePinhole: 402 }),
      grant(),
      ["UpdatePinhole", "GetFirewallStatus", "AddPinhole"],
    ],
    ["renewed, and not permitted", {}, grant(), refusing({ UpdatePinhole: 606 }), "refused", ["UpdatePinhole"]],
    ["renewed without a number", {}, grant({ ticket: "" }), {}, grant(), ["GetFirewallStatus", "AddPinhole"]],
    [
      "a firewall that does not tell",
      {},
      null,
      refusing({ GetFirewallStatus: 501 }),
      grant(),
      ["GetFirewallStatus", "AddPinhole"],
    ],
    ["no room", {}, null, refusing({ AddPinhole: 701 }), "exhausted", ["GetFirewallStatus", "AddPinhole"]],
    [
      "the firewall is off",
      {},
      null,
      refusing({ AddPinhole: 702 }),
      "unsupported",
      ["GetFirewallStatus", "AddPinhole"],
    ],
    ["not allowed", {}, null, refusing({ AddPinhole: 703 }), "refused", ["GetFirewallStatus", "AddPinhole"]],
    ["not permitted", {}, null, refusing({ AddPinhole: 606 }), "refused", ["GetFirewallStatus", "AddPinhole"]],
    ["another error", {}, null, refusing({ AddPinhole: 705 }), "refused", ["GetFirewallStatus", "AddPinhole"]],
  ];
  test.each(table)("%s", async (_name, wish, held, faults, expected, asked) => {
    await using bench = await IgdBench.start({ version: 2, firewall: true });
    const mapper = await bench.mapper();
    Object.assign(bench.fake.faults, faults);
    const mapped = await mapper.map({ ...PINHOLE, ...wish }, held, bench.signal);
    if (typeof expected === "string") {
      expect(mapped).toMatchObject({
        ok: false,
        error: { kind: expected, message: expect.stringMatching(/^[A-Z].*[.]$/) },
      });
    } else expect(mapped).toMatchObject({ ok: true, value: expected });
    expect(bench.fake.asked.map(({ action }) => action)).toEqual([...asked]);
  });

  test("renewed: by its number, and it lasts as long as now said", async () => {
    await using bench = await IgdBench.start({ version: 2, firewall: true });
    const mapper = await bench.mapper();
    const first = await mapper.map(PINHOLE, null, bench.signal);
    const again = await mapper.map({ ...PINHOLE, lifetimeSec: 60 }, first.ok ? first.value : null, bench.signal);
    expect(again).toEqual({ ok: true, value: grant({ lifetimeSec: 60 }) });
    expect([...bench.fake.pinholes]).toEqual([[1, 60]]);
  });

  test("what is asked, in the words of the standard", async () => {
    await using bench = await IgdBench.start({ version: 2, firewall: true });
    const mapper = await bench.mapper();
    await mapper.map({ ...PINHOLE, protocol: "udp" }, null, bench.signal);
    expect(bench.fake.asked.at(-1)).toEqual({
      serviceType: "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1",
      action: "AddPinhole",
      args: new Map([
        ["RemoteHost", ""],
        ["RemotePort", "0"],
        ["InternalClient", "2001:db8::5"],
        ["InternalPort", "8080"],
        ["Protocol", "17"],
        ["LeaseTime", "3600"],
      ]),
    });
  });

  test.each([
    ["off", { enabled: false, allowed: true }, "unsupported"],
    ["without pinholes", { enabled: true, allowed: false }, "refused"],
  ] as const)("a firewall that is %s", async (_name, firewall, kind) => {
    await using bench = await IgdBench.start({ version: 2, firewall: true });
    bench.fake.firewall = firewall;
    const mapper = await bench.mapper();
    expect(await mapper.map(PINHOLE, null, bench.signal)).toMatchObject({ ok: false, error: { kind } });
    expect(bench.fake.count("AddPinhole")).toBe(0);
  });

  test("a router without that service", async () => {
    await using bench = await IgdBench.start({ version: 2 });
    const mapper = await bench.mapper();
    expect(await mapper.map(PINHOLE, null, bench.signal)).toMatchObject({
      ok: false,
      error: { kind: "unsupported", message: expect.stringContaining("no IPv6 pinholes") },
    });
    expect(bench.fake.asked).toEqual([]);
  });

  test("a router with that service alone: ports are not mapped", async () => {
    await using bench = await IgdBench.start({ version: 2, firewall: true, lines: [] });
    const mapper = await bench.mapper();
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({ ok: false, error: { kind: "unsupported" } });
  });
});

describe("holds and unmap", () => {
  test.each([
    ["there", "1", {}, true],
    ["not there", "2", {}, false],
    ["not there, in miniupnpd's words", "2", { CheckPinholeWorking: 402 }, false],
    ["there, and asked otherwise", "1", { CheckPinholeWorking: 602, GetPinholePackets: 704 }, false],
    ["it cannot tell", "1", { CheckPinholeWorking: 602, GetPinholePackets: 602 }, null],
    ["no number", "", {}, null],
  ] as const)("%s", async (_name, ticket, codes, expected) => {
    await using bench = await IgdBench.start({ version: 2, firewall: true });
    const mapper = await bench.mapper();
    await mapper.map(PINHOLE, null, bench.signal);
    Object.assign(bench.fake.faults, refusing(codes));
    expect(await mapper.holds(PINHOLE, grant({ ticket }), bench.signal)).toEqual({ ok: true, value: expected });
  });

  test.each([
    ["there", "1", {}, true],
    ["not there", "2", {}, true],
    ["not there, in miniupnpd's words", "2", { DeletePinhole: 402 }, true],
    ["not permitted", "1", { DeletePinhole: 606 }, false],
    ["no number", "", {}, true],
  ] as const)("unmap what is %s", async (_name, ticket, codes, expected) => {
    await using bench = await IgdBench.start({ version: 2, firewall: true });
    const mapper = await bench.mapper();
    await mapper.map(PINHOLE, null, bench.signal);
    Object.assign(bench.fake.faults, refusing(codes));
    expect((await mapper.unmap(PINHOLE, grant({ ticket }), bench.signal)).ok).toBe(expected);
    expect(bench.fake.pinholes.size).toBe(expected && ticket === "1" ? 0 : 1);
  });
});
