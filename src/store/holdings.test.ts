import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { enrolDevice, temporaryStore } from "../../test/fixtures/store.ts";
import { DEFAULT_OPTIONS, type RemoteSpec } from "../core/forward.ts";
import { StoreFailure } from "./failure.ts";
import type { HoldingChange } from "./holdings.ts";
import type { LeaseClaim, LeasedRange } from "./leases.ts";

const NOW_MS = 10_000;

type Hold = Extract<HoldingChange, { kind: "hold" }>;
type Holder = { readonly id: string; readonly accountId: string };

const range = (first: number, last = first, protocol: LeasedRange["protocol"] = "tcp"): LeasedRange => ({
  protocol,
  first,
  last,
});

function hold(
  device: Holder,
  id: string,
  ports: number | readonly LeasedRange[],
  more: Partial<LeaseClaim> = {},
): Hold {
  const ranges = typeof ports === "number" ? [range(ports)] : ports;
  const group = more.group ?? null;
  const spec: RemoteSpec = {
    id,
    name: id,
    group,
    ports: ranges.map((one) => ({ ...one, internalFirst: one.first })),
    options: { ...DEFAULT_OPTIONS, limits: { connections: 10 } },
    enabled: true,
    lifetimeSec: 600,
  };
  const holder = { deviceId: device.id, forwardId: id, accountId: device.accountId, group };
  return {
    kind: "hold",
    spec,
    target: null,
    origin: "cli",
    claim: { ...holder, bind: "*", expiresMs: null, ranges, ...more },
  };
}

describe("holdings", () => {
  test("many changes are carried out in their order", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const device = await enrolDevice(store, "web1", 1);
    const release = { kind: "release", deviceId: device.id, forwardId: "a" } as const;
    const outcomes = await store.holdings.apply([hold(device, "a", 80), release, hold(device, "b", 80)], NOW_MS);
    expect(outcomes).toEqual([null, null, null]);
    expect((await store.forwards.list()).map((row) => row.spec.id)).toEqual(["b"]);
    expect((await store.leases.list(NOW_MS)).map(({ forwardId, first }) => [forwardId, first])).toEqual([["b", 80]]);
  });

  test("a port that another device holds keeps that one change out, and only that one", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const one = await enrolDevice(store, "web1", 1);
    const two = await enrolDevice(store, "web2", 2);
    const changes = [hold(one, "a", 80), hold(two, "b", 80), hold(two, "c", 81)];
    const outcomes = await store.holdings.apply(changes, NOW_MS);
    expect(outcomes.map((outcome) => outcome?.held.forwardId ?? null)).toEqual([null, "a", null]);
    expect((await store.forwards.list()).map((row) => row.spec.id).sort()).toEqual(["a", "c"]);
  });

  test("what has expired is free", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const one = await enrolDevice(store, "web1", 1);
    const two = await enrolDevice(store, "web2", 2);
    await store.holdings.apply([hold(one, "a", 80), hold(one, "b", 81)], NOW_MS);
    const ends = new Map([
      ["a", NOW_MS + 1_000],
      ["b", null],
    ]);
    await store.holdings.apply([{ kind: "expiry", deviceId: one.id, ends }], NOW_MS);
    expect((await store.leases.list(NOW_MS + 999)).map(({ forwardId }) => forwardId)).toEqual(["a", "b"]);
    expect((await store.leases.list(NOW_MS + 1_000)).map(({ forwardId }) => forwardId)).toEqual(["b"]);
    expect((await store.holdings.apply([hold(two, "c", 80)], NOW_MS + 999))[0]?.held.forwardId).toBe("a");
    expect(await store.holdings.apply([hold(two, "c", 80)], NOW_MS + 1_000)).toEqual([null]);
  });

  test("nothing is kept of a batch that fails", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const device = await enrolDevice(store, "web1", 1);
    const stranger = { id: "nobody", accountId: device.accountId };
    const failing = store.holdings.apply([hold(device, "a", 80), hold(stranger, "b", 81)], NOW_MS);
    expect(failing).rejects.toThrow("FOREIGN KEY");
    await failing.catch(() => undefined);
    expect(await store.forwards.list()).toEqual([]);
    expect(await store.leases.list(NOW_MS)).toEqual([]);
  });
});

describe("ports", () => {
  test.each<[string, LeasedRange, Partial<LeaseClaim>, Partial<LeaseClaim>, boolean]>([
    ["the same port", range(8005), {}, {}, false],
    ["a range over it", range(7000, 9000), {}, {}, false],
    ["its first port", range(7999, 8000), {}, {}, false],
    ["its last port", range(8010, 8011), {}, {}, false],
    ["the port before", range(7999), {}, {}, true],
    ["the port after", range(8011), {}, {}, true],
    ["the other protocol", range(8005, 8005, "udp"), {}, {}, true],
    ["another address", range(8005), { bind: "192.0.2.1" }, { bind: "192.0.2.2" }, true],
    ["the same address", range(8005), { bind: "192.0.2.1" }, { bind: "192.0.2.1" }, false],
    ["an address under every address", range(8005), { bind: "*" }, { bind: "192.0.2.1" }, false],
    ["every address over an address", range(8005), { bind: "192.0.2.1" }, { bind: "::" }, false],
    ["the same group", range(8005), { group: "pool" }, { group: "pool" }, true],
    ["another group", range(8005), { group: "pool" }, { group: "other" }, false],
    ["no group", range(8005), { group: "pool" }, {}, false],
    ["an expired one", range(8005), { expiresMs: 50 }, {}, true],
    ["one that runs out later", range(8005), { expiresMs: 51 }, {}, false],
  ])("8000-8010 is held, and another device asks for %s", async (_what, wanted, first, second, granted) => {
    await using fixture = await temporaryStore();
    const { holdings, leases } = fixture.store;
    const one = await enrolDevice(fixture.store, "one", 1);
    const two = await enrolDevice(fixture.store, "two", 2);
    expect(await holdings.apply([hold(one, "a", [range(8000, 8010)], first)], 10)).toEqual([null]);
    const [conflict] = await holdings.apply([hold(two, "b", [range(5), wanted], second)], 50);
    if (granted) {
      expect(conflict).toBeNull();
      return;
    }
    expect(conflict?.held).toMatchObject({ deviceId: one.id, first: 8000, last: 8010 });
    expect((await leases.list(50)).filter(({ deviceId }) => deviceId === two.id)).toEqual([]);
  });

  test("a group is one account's own", async () => {
    await using fixture = await temporaryStore();
    const { accounts, holdings } = fixture.store;
    await accounts.create({ name: "team", role: "user" }, 1);
    const one = await enrolDevice(fixture.store, "one", 1);
    const two = await enrolDevice(fixture.store, "two", 2, "team");
    const changes = [hold(one, "a", 80, { group: "pool" }), hold(two, "a", 80, { group: "pool" })];
    expect((await holdings.apply(changes, 10)).map((conflict) => conflict?.held.deviceId ?? null)).toEqual([
      null,
      one.id,
    ]);
  });

  test("a forward takes its own ports again, and changes them all at once; the audit log tells what changed", async () => {
    await using fixture = await temporaryStore();
    const { holdings, leases, audit } = fixture.store;
    const device = await enrolDevice(fixture.store, "one", 1);
    await holdings.apply([hold(device, "a", [range(80), range(443)])], 10);
    await holdings.apply([hold(device, "a", [range(443), range(80)], { expiresMs: 900 })], 20);
    expect((await leases.list(20)).map(({ first, expiresMs }) => [first, expiresMs])).toEqual([
      [80, 900],
      [443, 900],
    ]);
    await holdings.apply([hold(device, "a", [range(443), range(8443)])], 30);
    expect((await leases.list(30)).map(({ first }) => first)).toEqual([443, 8443]);
    expect((await holdings.apply([hold(device, "b", 443)], 40))[0]?.held.forwardId).toBe("a");
    const told = (await audit.list({ subject: `device:${device.id}` })).filter(({ action }) =>
      action.startsWith("ports."),
    );
    expect(told.map(({ action, detail, atMs }) => [atMs, action, detail["ports"]])).toEqual([
      [30, "ports.granted", "443/tcp on *, 8443/tcp on *"],
      [30, "ports.released", "443/tcp on *, 80/tcp on *"],
      [10, "ports.granted", "443/tcp on *, 80/tcp on *"],
    ]);
  });
});

describe("forwards", () => {
  test("are replaced by their id, each device's own, and keep when they were made", async () => {
    await using fixture = await temporaryStore();
    const { forwards, holdings } = fixture.store;
    const one = await enrolDevice(fixture.store, "one", 1);
    const two = await enrolDevice(fixture.store, "two", 2);
    const first = hold(one, "web", 80);
    const renamed: Hold = { ...first, spec: { ...first.spec, name: "site" } };
    await holdings.apply([first, hold(two, "web", 81)], 10);
    await holdings.apply([renamed], 12);
    const rows = await forwards.list();
    expect(rows).toHaveLength(2);
    expect(rows.find(({ deviceId }) => deviceId === one.id)).toEqual({
      deviceId: one.id,
      spec: renamed.spec,
      target: null,
      origin: "cli",
      createdMs: 10,
      updatedMs: 12,
    });
  });

  test("that did not change are not written again", async () => {
    await using fixture = await temporaryStore();
    const { forwards, holdings } = fixture.store;
    const device = await enrolDevice(fixture.store, "one", 1);
    await holdings.apply([hold(device, "web", 80)], 10);
    await holdings.apply([hold(device, "web", 80)], 20);
    expect((await forwards.list())[0]?.updatedMs).toBe(10);
  });

  test.each(["{", "{}", `{"id":"web"}`])("that someone wrote over (%p) are told, not believed", async (text) => {
    await using fixture = await temporaryStore();
    const device = await enrolDevice(fixture.store, "one", 1);
    await fixture.store.holdings.apply([hold(device, "web", 80)], 10);
    const database = new Database(fixture.path);
    database.run("update forwards set spec = ?", [text]);
    database.close();
    await expect(fixture.store.forwards.list()).rejects.toBeInstanceOf(StoreFailure);
  });
});
