import { describe, expect, test } from "bun:test";
import { enrolDevice, holdPort80, temporaryStore, testKey } from "../../test/fixtures/store.ts";

describe("devices", () => {
  test("are found by key, name and id, and remember when they were seen", async () => {
    await using fixture = await temporaryStore();
    const { devices } = fixture.store;
    const device = await enrolDevice(fixture.store, "web1", 1);
    expect(device).toMatchObject({ name: "web1", ports: null, createdMs: 2_000, lastSeenMs: null, revokedMs: null });
    expect(await devices.touch(device.id, "192.0.2.1:5000", 9_000)).toBe(true);
    const seen = { ...device, lastSeenMs: 9_000, lastAddress: "192.0.2.1:5000" };
    expect(await devices.findByKey(testKey(1))).toEqual(seen);
    expect(await devices.findByKey(testKey(2))).toBeNull();
    expect(await devices.find("web1")).toEqual({ ok: true, value: seen });
    expect(await devices.find(device.id)).toEqual({ ok: true, value: seen });
    expect(await devices.list()).toEqual([seen]);
  });

  test("a name in two accounts is ambiguous, an id is not", async () => {
    await using fixture = await temporaryStore();
    const { accounts, devices } = fixture.store;
    await accounts.create({ name: "team", role: "user" }, 1);
    const one = await enrolDevice(fixture.store, "web1", 1);
    const two = await enrolDevice(fixture.store, "web1", 2, "team");
    const found = await devices.find("web1");
    expect(found.ok ? null : found.error.kind).toBe("ambiguous");
    expect(await devices.find(two.id)).toEqual({ ok: true, value: two });
    expect(await devices.list({ accountId: one.accountId })).toEqual([one]);
  });

  test("a revoked one is nobody, frees its name and ports, and stays in the list of revoked ones", async () => {
    await using fixture = await temporaryStore();
    const { devices, leases, audit } = fixture.store;
    const device = await enrolDevice(fixture.store, "web1", 1);
    await holdPort80(fixture.store, device, 3_000);

    const revoked = await devices.revoke("web1", 5_000, "owner");
    expect(revoked.ok ? revoked.value.revokedMs : null).toBe(5_000);
    expect(await devices.findByKey(testKey(1))).toBeNull();
    expect(await devices.list()).toEqual([]);
    expect((await devices.list({ revoked: true })).map(({ id }) => id)).toEqual([device.id]);
    expect(await leases.list(5_000)).toEqual([]);
    expect((await audit.list({ subject: `device:${device.id}` }))[0]).toMatchObject({
      actor: "owner",
      action: "device.revoked",
      detail: { name: "web1" },
    });
    for (const nameOrId of ["web1", device.id]) {
      const again = await devices.revoke(nameOrId, 6_000);
      expect(again.ok ? null : again.error.kind).toBe("unknown");
    }
    expect((await enrolDevice(fixture.store, "web1", 2)).name).toBe("web1");
  });
});
