import { describe, expect, test } from "bun:test";
import { blobOf, FINGERPRINTS, PUBLIC_KEYS } from "../../test/fixtures/ssh-keys.ts";
import { enrolDevice, holdPort80, temporaryStore, testKey } from "../../test/fixtures/store.ts";
import { decodeKey, encodeEd25519, type KeyLine, parseKeyText } from "../wire/ssh/public-key.ts";
import { MOST_KEYS } from "./ssh-keys.ts";
import type { Store } from "./store.ts";

function line(name: "ed25519" | "ecdsa" | "rsa"): KeyLine {
  const parsed = parseKeyText(PUBLIC_KEYS[name]);
  if (!parsed.ok) throw new Error(parsed.error.kind);
  return parsed.value;
}

/** As ssh would show an agent's key. */
function ofAgent(publicKey: Uint8Array): KeyLine {
  const decoded = decodeKey(encodeEd25519(publicKey));
  if (!decoded.ok) throw new Error(decoded.error.kind);
  return { key: decoded.value, comment: "agent" };
}

async function add(store: Store, name: "ed25519" | "ecdsa" | "rsa", more: { deviceName: string; ports?: string }) {
  const added = await store.sshKeys.add({ ...line(name), ...more }, 1_000);
  if (!added.ok) throw new Error(added.error.message);
  return added.value;
}

const found = async (store: Store, name: "ed25519" | "ecdsa" | "rsa") =>
  (await store.sshKeys.find(blobOf(PUBLIC_KEYS[name])))?.device.name ?? null;

describe("keys of SSH clients", () => {
  test("a key makes a device, which no agent's key opens, and a second key is the same one's", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const { device, key } = await add(store, "ed25519", { deviceName: "laptop", ports: "8000-8099" });
    expect(device).toMatchObject({ name: "laptop", ports: "8000-8099", publicKey: new Uint8Array(0) });
    expect(key).toMatchObject({ fingerprint: FINGERPRINTS.ed25519, comment: "ada@ed25519", lastUsedMs: null });
    expect((await add(store, "ecdsa", { deviceName: "laptop" })).device.id).toBe(device.id);
    expect(await found(store, "ecdsa")).toBe("laptop");
    expect(await found(store, "rsa")).toBeNull();
    expect(await store.devices.findByKey(new Uint8Array(0))).toBeNull();
    await store.sshKeys.touch(key.fingerprint, 5_000);
    expect((await store.sshKeys.list()).map(({ key: { lastUsedMs } }) => lastUsedMs)).toEqual([5_000, null]);
    const actions = (await store.audit.list()).map(({ action }) => action);
    expect(actions.filter((action) => action === "ssh-key.added")).toHaveLength(2);
  });

  test("an agent's device keeps its agent when its last SSH key goes", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    await enrolDevice(store, "den", 1);
    await add(store, "rsa", { deviceName: "den" });
    expect(await store.sshKeys.remove(FINGERPRINTS.rsa, 2_000)).toMatchObject({
      ok: true,
      value: { deviceRevoked: false },
    });
    expect(await store.devices.findByKey(testKey(1))).toMatchObject({ name: "den" });
    expect(await found(store, "rsa")).toBeNull();
  });

  test("the last key of a device without an agent takes its ports and its name with it", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const { device } = await add(store, "ed25519", { deviceName: "laptop" });
    await holdPort80(store, device, 1_000);
    const removed = await store.sshKeys.remove(FINGERPRINTS.ed25519, 2_000);
    expect(removed).toMatchObject({ ok: true, value: { deviceRevoked: true } });
    expect(await store.forwards.list()).toEqual([]);
    expect((await add(store, "ed25519", { deviceName: "laptop" })).device.id).not.toBe(device.id);
  });

  test("a revoked device's key opens nothing, and may be another's", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const { device } = await add(store, "ed25519", { deviceName: "laptop" });
    await store.devices.revoke(device.id, 2_000);
    expect(await found(store, "ed25519")).toBeNull();
    await add(store, "ed25519", { deviceName: "tablet" });
    expect(await found(store, "ed25519")).toBe("tablet");
  });

  test("a name that a join code was made for is taken from the code", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    await store.joinCodes.create({ deviceName: "laptop" }, 1_000);
    await add(store, "ed25519", { deviceName: "laptop" });
    expect(await store.joinCodes.list(1_001)).toEqual([]);
  });

  test.each([
    ["another's key", { ...line("ed25519"), deviceName: "tablet" }, "key-taken"],
    ["an account that is not there", { ...line("rsa"), deviceName: "tablet", account: "nobody" }, "unknown-account"],
    ["other ports than its device has", { ...line("rsa"), deviceName: "laptop", ports: "80" }, "ports"],
  ])("refuses %s", async (_, request, kind) => {
    await using fixture = await temporaryStore();
    await add(fixture.store, "ed25519", { deviceName: "laptop" });
    expect(await fixture.store.sshKeys.add(request, 2_000)).toMatchObject({ ok: false, error: { kind } });
  });

  test("a key of another account is not there for whoever sees one account", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const { device } = await add(store, "ed25519", { deviceName: "laptop" });
    const remove = (accountId: string) => store.sshKeys.remove(FINGERPRINTS.ed25519, 2_000, { accountId });
    expect(await remove("another")).toMatchObject({ ok: false, error: { kind: "unknown" } });
    expect((await remove(device.accountId)).ok).toBe(true);
  });

  test("refuses the key of a device's own agent: it would be let in as another", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const { key } = line("ed25519");
    if (key.parts.kind !== "ed25519") throw new Error("it is Ed25519");
    const den = await enrolDevice(store, "den", 1);
    const before = await store.sshKeys.add({ ...line("ed25519"), deviceName: "laptop" }, 2_000);
    expect(before.ok).toBe(true);
    await store.sshKeys.remove(FINGERPRINTS.ed25519, 2_000);
    expect(await store.sshKeys.add({ ...ofAgent(testKey(1)), deviceName: "laptop" }, 2_000)).toMatchObject({
      ok: false,
      error: { kind: "key-taken" },
    });
    await store.devices.revoke(den.id, 3_000);
    expect((await store.sshKeys.add({ ...ofAgent(testKey(1)), deviceName: "laptop" }, 4_000)).ok).toBe(true);
  });

  test("refuses a key more than a device may have", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    for (let number = 0; number < MOST_KEYS; number++) {
      expect((await store.sshKeys.add({ ...ofAgent(testKey(number + 1)), deviceName: "laptop" }, 1_000)).ok).toBe(true);
    }
    const more = await store.sshKeys.add({ ...line("rsa"), deviceName: "laptop" }, 2_000);
    expect(more).toMatchObject({ ok: false, error: { kind: "too-many" } });
  });

  test("refuses a device more than the account may have, and a key that is not there", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const [owner] = await store.accounts.list();
    if (owner === undefined) throw new Error("no account");
    await store.accounts.setLimits(owner.id, { ...owner, quotaDevices: 1 }, 1_000);
    await add(store, "ed25519", { deviceName: "laptop" });
    const more = await store.sshKeys.add({ ...line("rsa"), deviceName: "tablet" }, 2_000);
    expect(more).toMatchObject({ ok: false, error: { kind: "quota" } });
    expect(await store.sshKeys.remove("nobody", 2_000)).toMatchObject({ ok: false, error: { kind: "unknown" } });
  });
});
