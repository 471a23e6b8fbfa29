import { expect, test } from "bun:test";
import { addPerson, temporaryStore } from "../../test/fixtures/store.ts";
import { MAX_PASSKEYS, type NewPasskey } from "./passkeys.ts";

const NOW_MS = 5_000;

const passkey = (userId: string, id: string): NewPasskey => ({
  id,
  userId,
  name: `key ${id}`,
  publicKey: Uint8Array.from([1, 2, 255]),
  counter: 3,
  transports: ["usb", "nfc"],
});

test("a passkey comes back as it was added", async () => {
  await using fixture = await temporaryStore();
  const { passkeys } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const expected = { ...passkey(ada.id, "a-_"), createdMs: NOW_MS, lastUsedMs: null };
  expect(await passkeys.add(passkey(ada.id, "a-_"), NOW_MS, "user:ada")).toEqual({ ok: true, value: expected });
  expect(await passkeys.find("a-_")).toEqual(expected);
  await passkeys.add({ ...passkey(ada.id, "b"), transports: [] }, NOW_MS, "user:ada");
  expect((await passkeys.list(ada.id)).map(({ transports }) => transports)).toEqual([["usb", "nfc"], []]);
  expect(await passkeys.find("none")).toBeNull();
});

test("one that is somebody's already is refused, and one too many", async () => {
  await using fixture = await temporaryStore();
  const { passkeys } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const bob = await addPerson(fixture.store, "bob", "user");
  for (let at = 0; at < MAX_PASSKEYS; at++) await passkeys.add(passkey(ada.id, `${at}`), NOW_MS, "user:ada");
  expect(await passkeys.add(passkey(bob.id, "0"), NOW_MS, "user:bob")).toEqual({ ok: false, error: "known" });
  expect(await passkeys.add(passkey(ada.id, "more"), NOW_MS, "user:ada")).toEqual({ ok: false, error: "full" });
  expect(await passkeys.list(ada.id)).toHaveLength(MAX_PASSKEYS);
});

test("of two sign-ins that read the same counter one goes through", async () => {
  await using fixture = await temporaryStore();
  const { passkeys } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  await passkeys.add(passkey(ada.id, "a"), NOW_MS, "user:ada");
  expect(await Promise.all([passkeys.used("a", 3, 4, 9_000), passkeys.used("a", 3, 4, 9_000)])).toEqual([true, false]);
  expect(await passkeys.find("a")).toMatchObject({ counter: 4, lastUsedMs: 9_000 });
});

test("it is removed by its person alone, and that is told", async () => {
  await using fixture = await temporaryStore();
  const { passkeys, audit } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const bob = await addPerson(fixture.store, "bob", "user");
  await passkeys.add(passkey(ada.id, "a"), NOW_MS, "user:ada");
  expect(await passkeys.remove(bob.id, "a", NOW_MS, "user:bob")).toBe(false);
  expect(await passkeys.remove(ada.id, "a", NOW_MS, "user:ada")).toBe(true);
  expect(await passkeys.remove(ada.id, "a", NOW_MS, "user:ada")).toBe(false);
  expect((await audit.list({ limit: 2 })).map(({ action, detail }) => [action, detail])).toEqual([
    ["passkey.removed", { name: "key a" }],
    ["passkey.added", { name: "key a" }],
  ]);
});
