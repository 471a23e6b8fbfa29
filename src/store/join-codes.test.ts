import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { enrolDevice, holdPort80, temporaryStore, testKey } from "../../test/fixtures/store.ts";
import { NO_LIMITS } from "./accounts.ts";
import type { MadeJoinCode, NewJoinCode } from "./join-codes.ts";
import type { Store } from "./store.ts";

const DAY_MS = 86_400_000;
const NOW_MS = 1_000_000;

async function make(store: Store, request: NewJoinCode): Promise<MadeJoinCode> {
  const made = await store.joinCodes.create(request, NOW_MS);
  if (!made.ok) throw new Error(made.error.message);
  return made.value;
}

describe("creating", () => {
  test("gives a secret of 16 bytes, once, for a day", async () => {
    await using fixture = await temporaryStore();
    const made = await make(fixture.store, { deviceName: "web1", ports: "8000-8010" });
    expect(made.secret).toHaveLength(16);
    expect(made.expiresMs).toBe(NOW_MS + DAY_MS);
    expect(await fixture.store.joinCodes.list(NOW_MS)).toEqual([
      {
        id: made.id,
        accountId: "owner",
        deviceName: "web1",
        ports: "8000-8010",
        createdMs: NOW_MS,
        expiresMs: made.expiresMs,
      },
    ]);
    expect(await fixture.store.joinCodes.list(made.expiresMs)).toEqual([]);
  });

  test("keeps the secret nowhere", async () => {
    await using fixture = await temporaryStore();
    const { secret } = await make(fixture.store, { deviceName: "web1" });
    const database = new Database(fixture.path, { readonly: true });
    const rows = [
      ...database.query("select * from join_codes").values(),
      ...database.query("select * from audit").values(),
    ];
    database.close();
    const text = JSON.stringify(rows);
    for (const encoding of ["hex", "base64", "base64url"] as const)
      expect(text).not.toContain(Buffer.from(secret).toString(encoding));
  });

  test("refuses a name that a device has, and an account that is none", async () => {
    await using fixture = await temporaryStore();
    await enrolDevice(fixture.store, "web1", 1);
    const taken = await fixture.store.joinCodes.create({ deviceName: "web1" }, NOW_MS);
    expect(taken.ok ? null : taken.error.kind).toBe("name-taken");
    const unknown = await fixture.store.joinCodes.create({ deviceName: "x", account: "nobody" }, NOW_MS);
    expect(unknown.ok ? null : unknown.error.kind).toBe("unknown-account");
    await fixture.store.accounts.create({ name: "team", role: "user" }, 1);
    expect((await fixture.store.joinCodes.create({ deviceName: "web1", account: "team" }, NOW_MS)).ok).toBe(true);
  });

  test("refuses a device more than the account may have; a newer code for one that is awaited is none", async () => {
    await using fixture = await temporaryStore();
    const { accounts, joinCodes } = fixture.store;
    await accounts.setLimits("owner", { ...NO_LIMITS, quotaDevices: 2 }, 1);
    const { id } = await enrolDevice(fixture.store, "web1", 1);
    await make(fixture.store, { deviceName: "web2" });
    const more = await joinCodes.create({ deviceName: "web3" }, NOW_MS);
    expect(more.ok ? null : more.error).toEqual({
      kind: "quota",
      message:
        "The account owner may have 2 devices, and has or awaits as many: remove one first, or ask an administrator for more.",
    });
    await make(fixture.store, { deviceName: "web2" });
    await fixture.store.devices.revoke(id, 2);
    await make(fixture.store, { deviceName: "web3" });
  });

  test("a newer code for a name ends the older one", async () => {
    await using fixture = await temporaryStore();
    const { joinCodes } = fixture.store;
    const older = await make(fixture.store, { deviceName: "web1" });
    const newer = await make(fixture.store, { deviceName: "web1" });
    expect((await joinCodes.list(NOW_MS)).map(({ id }) => id)).toEqual([newer.id]);
    expect(await joinCodes.redeem(older.secret, testKey(1), NOW_MS)).toEqual({ ok: false, error: "invalid" });
    expect((await joinCodes.redeem(newer.secret, testKey(1), NOW_MS)).ok).toBe(true);
  });
});

describe("redeeming", () => {
  test("enrols the device with the code's name, account and ports", async () => {
    await using fixture = await temporaryStore();
    const { joinCodes, devices, audit } = fixture.store;
    const made = await make(fixture.store, { deviceName: "web1", ports: "80, 443" });
    const redeemed = await joinCodes.redeem(made.secret, testKey(1), NOW_MS + 1);
    const device = await devices.findByKey(testKey(1));
    expect(device).toMatchObject({ name: "web1", accountId: "owner", ports: "80, 443", createdMs: NOW_MS + 1 });
    expect(redeemed).toEqual({ ok: true, value: device as NonNullable<typeof device> });
    expect((await audit.list()).map(({ action }) => action)).toEqual(["device.enrolled", "join-code.created"]);
    expect(await joinCodes.list(NOW_MS)).toEqual([]);
    expect(await joinCodes.revoke(made.id, NOW_MS)).toBe(false);
  });

  test.each<[string, (store: Store, made: MadeJoinCode) => Promise<[secret: Uint8Array, atMs: number]>]>([
    ["wrong", async () => [new Uint8Array(16), NOW_MS]],
    ["empty", async () => [new Uint8Array(0), NOW_MS]],
    ["expired", async (_store, made) => [made.secret, made.expiresMs]],
    [
      "revoked",
      async ({ joinCodes }, made) => {
        expect(await joinCodes.revoke(made.id, NOW_MS)).toBe(true);
        return [made.secret, NOW_MS];
      },
    ],
    [
      "used",
      async ({ joinCodes }, made) => {
        expect((await joinCodes.redeem(made.secret, testKey(9), NOW_MS)).ok).toBe(true);
        return [made.secret, NOW_MS];
      },
    ],
  ])("a code that is %s is refused like the others and enrols nobody", async (_what, spoil) => {
    await using fixture = await temporaryStore();
    const { joinCodes, devices } = fixture.store;
    const [secret, atMs] = await spoil(fixture.store, await make(fixture.store, { deviceName: "web1" }));
    expect(await joinCodes.redeem(secret, testKey(1), atMs)).toEqual({ ok: false, error: "invalid" });
    expect(await devices.findByKey(testKey(1))).toBeNull();
  });

  test("by twenty at once enrols one", async () => {
    await using fixture = await temporaryStore();
    const { joinCodes, devices } = fixture.store;
    const { secret } = await make(fixture.store, { deviceName: "web1" });
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, seed) => joinCodes.redeem(secret, testKey(seed), NOW_MS)),
    );
    expect(results.filter((result) => result.ok)).toHaveLength(1);
    expect(await devices.list()).toHaveLength(1);
  });

  test("the device whose answer was lost may ask again, until the code expires or it is revoked", async () => {
    await using fixture = await temporaryStore();
    const { joinCodes, devices } = fixture.store;
    const made = await make(fixture.store, { deviceName: "web1" });
    const first = await joinCodes.redeem(made.secret, testKey(1), NOW_MS);
    expect(await joinCodes.redeem(made.secret, testKey(1), NOW_MS + 1)).toEqual(first);
    expect((await joinCodes.redeem(made.secret, testKey(1), made.expiresMs)).ok).toBe(false);
    await devices.revoke("web1", NOW_MS + 2);
    expect((await joinCodes.redeem(made.secret, testKey(1), NOW_MS + 3)).ok).toBe(false);
  });

  test.each([["revoked"], ["enrolled"]])(
    "a key that is %s takes the new code's name, and starts without forwards",
    async (state) => {
      await using fixture = await temporaryStore();
      const { devices, leases } = fixture.store;
      const old = await enrolDevice(fixture.store, "old", 1);
      await holdPort80(fixture.store, old, 3_000);
      if (state === "revoked") await devices.revoke("old", 3_000);
      const renewed = await enrolDevice(fixture.store, "new", 1);
      expect(renewed).toMatchObject({ id: old.id, name: "new", revokedMs: null });
      expect((await devices.list({ revoked: true })).map(({ name }) => name)).toEqual(["new"]);
      expect(await leases.list(4_000)).toEqual([]);
    },
  );
});
