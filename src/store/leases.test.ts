import { describe, expect, test } from "bun:test";
import { enrolDevice, temporaryStore } from "../../test/fixtures/store.ts";
import type { Device } from "./devices.ts";
import type { LeaseClaim, LeasedRange } from "./leases.ts";

const range = (first: number, last = first, protocol: LeasedRange["protocol"] = "tcp"): LeasedRange => ({
  protocol,
  first,
  last,
});
const claim = (
  device: Device,
  forwardId: string,
  ranges: LeasedRange[],
  more: Partial<LeaseClaim> = {},
): LeaseClaim => ({
  deviceId: device.id,
  accountId: device.accountId,
  forwardId,
  group: null,
  bind: "*",
  expiresMs: null,
  ranges,
  ...more,
});

describe("leases", () => {
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
    const { leases } = fixture.store;
    const one = await enrolDevice(fixture.store, "one", 1);
    const two = await enrolDevice(fixture.store, "two", 2);
    expect((await leases.grant(claim(one, "a", [range(8000, 8010)], first), 10)).ok).toBe(true);
    const asked = await leases.grant(claim(two, "b", [range(5), wanted], second), 50);
    expect(asked.ok).toBe(granted);
    if (asked.ok) return;
    expect(asked.error.held).toMatchObject({ deviceId: one.id, first: 8000, last: 8010 });
    expect(await leases.list(50, { deviceId: two.id })).toEqual([]);
  });

  test("a group is one account's own", async () => {
    await using fixture = await temporaryStore();
    const { accounts, leases } = fixture.store;
    await accounts.create({ name: "team", role: "user" }, 1);
    const one = await enrolDevice(fixture.store, "one", 1);
    const two = await enrolDevice(fixture.store, "two", 2, "team");
    await leases.grant(claim(one, "a", [range(80)], { group: "pool" }), 10);
    expect((await leases.grant(claim(two, "a", [range(80)], { group: "pool" }), 10)).ok).toBe(false);
  });

  test("a forward takes its own ports again, and changes them all at once", async () => {
    await using fixture = await temporaryStore();
    const { leases, audit } = fixture.store;
    const device = await enrolDevice(fixture.store, "one", 1);
    await leases.grant(claim(device, "a", [range(80), range(443)]), 10);
    await leases.grant(claim(device, "a", [range(443), range(80)], { expiresMs: 900 }), 20);
    expect((await leases.list(20)).map(({ first, expiresMs }) => [first, expiresMs])).toEqual([
      [80, 900],
      [443, 900],
    ]);
    await leases.grant(claim(device, "a", [range(443), range(8443)]), 30);
    expect((await leases.list(30)).map(({ first }) => first)).toEqual([443, 8443]);
    expect((await leases.grant(claim(device, "b", [range(443)]), 40)).ok).toBe(false);
    const told = (await audit.list({ subject: `device:${device.id}` })).filter(({ action }) =>
      action.startsWith("ports."),
    );
    expect(told.map(({ action, detail, atMs }) => [atMs, action, detail["ports"]])).toEqual([
      [30, "ports.granted", "443/tcp on *, 8443/tcp on *"],
      [30, "ports.released", "443/tcp on *, 80/tcp on *"],
      [10, "ports.granted", "443/tcp on *, 80/tcp on *"],
    ]);
  });

  test("a device that goes away keeps its ports for their lifetimes", async () => {
    await using fixture = await temporaryStore();
    const { leases } = fixture.store;
    const one = await enrolDevice(fixture.store, "one", 1);
    await leases.grant(claim(one, "short", [range(1000, 1999)]), 10);
    await leases.grant(claim(one, "long", [range(2000)]), 10);
    await leases.setExpiry(
      one.id,
      new Map([
        ["short", 100],
        ["long", null],
      ]),
    );
    expect(await leases.list(99, { accountId: one.accountId })).toHaveLength(2);
    expect((await leases.list(100)).map(({ forwardId }) => forwardId)).toEqual(["long"]);
    expect((await leases.releaseExpired(100)).map(({ forwardId }) => forwardId)).toEqual(["short"]);
    expect(await leases.releaseExpired(100)).toEqual([]);
  });

  test("released ports are free", async () => {
    await using fixture = await temporaryStore();
    const { leases } = fixture.store;
    const one = await enrolDevice(fixture.store, "one", 1);
    const two = await enrolDevice(fixture.store, "two", 2);
    await leases.grant(claim(one, "a", [range(80)]), 10);
    expect(await leases.release(one.id, "a", 20)).toBe(true);
    expect(await leases.release(one.id, "a", 20)).toBe(false);
    expect((await leases.grant(claim(two, "a", [range(80)]), 30)).ok).toBe(true);
    expect((await leases.grant(claim(two, "a", []), 40)).ok).toBe(true);
    expect(await leases.list(40)).toEqual([]);
  });
});
