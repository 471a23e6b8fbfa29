import { describe, expect, test } from "bun:test";
import { addPerson, enrolDevice, holdPort80, temporaryStore } from "../../test/fixtures/store.ts";
import type { Store } from "./store.ts";
import type { UserChange } from "./users.ts";

const NOW_MS = 5_000;
const PLACE = { address: "192.0.2.1", userAgent: "Test/1" };

const actions = async (store: Store) => (await store.audit.list()).map(({ actor, action }) => `${actor} ${action}`);

test("a person is found by id and by name, with the account and the number of passkeys", async () => {
  await using fixture = await temporaryStore();
  const { users, passkeys } = fixture.store;
  const ada = await addPerson(fixture.store, "Ada", "admin", "owner");
  await passkeys.add(
    { id: "k", userId: ada.id, name: "k", publicKey: new Uint8Array([1]), counter: 0, transports: [] },
    NOW_MS,
    "user:Ada",
  );
  const expected = {
    id: ada.id,
    name: "Ada",
    role: "admin",
    account: {
      id: "owner",
      name: "owner",
      ports: null,
      quotaForwards: null,
      quotaPorts: null,
      quotaDevices: null,
      quotaBandwidth: null,
    },
    passwordHash: "hash of Ada",
    totpSecret: null,
    totpLastStep: null,
    createdMs: 2_000,
    lastSeenMs: null,
    disabled: false,
    passkeys: 1,
  } as const;
  expect(await users.find(ada.id)).toEqual(expected);
  expect(await users.findByName("ada")).toEqual(expected);
  expect(await users.findByName("Ada")).toBeNull();
  expect(await users.find("nobody")).toBeNull();
});

describe("a change", () => {
  test.each<[string, UserChange, string[]]>([
    ["of nothing is not told", {}, []],
    ["to what it was is not told", { role: "user", disabled: false }, []],
    ["of the role", { role: "viewer" }, ["user:x user.changed"]],
    ["of the quotas", { limits: { quotaPorts: 5 } }, ["user:x account.limited"]],
    ["of all", { role: "admin", limits: { ports: "80" } }, ["user:x account.limited", "user:x user.changed"]],
  ])("%s", async (_what, change, told) => {
    await using fixture = await temporaryStore();
    await addPerson(fixture.store, "ada", "admin", "owner");
    const bob = await addPerson(fixture.store, "bob", "user");
    const before = (await actions(fixture.store)).length;
    expect((await fixture.store.users.change(bob.id, change, NOW_MS, "user:x")).ok).toBe(true);
    const after = await actions(fixture.store);
    expect(after.slice(0, after.length - before)).toEqual(told);
  });

  test("that is refused changes nothing and is not told", async () => {
    await using fixture = await temporaryStore();
    const ada = await addPerson(fixture.store, "ada", "admin", "owner");
    const before = await actions(fixture.store);
    const change = { role: "user", limits: { quotaPorts: 1 } } as const;
    const refused = await fixture.store.users.change(ada.id, change, NOW_MS, "user:ada");
    expect(refused.ok ? null : refused.error.kind).toBe("last-admin");
    const unknown = await fixture.store.users.change("nobody", change, NOW_MS, "user:ada");
    expect(unknown.ok ? null : unknown.error.kind).toBe("unknown");
    expect(await fixture.store.users.find(ada.id)).toEqual(ada);
    expect(await actions(fixture.store)).toEqual(before);
  });
});

test("two administrators demoted at once: one stays", async () => {
  await using fixture = await temporaryStore();
  const { users } = fixture.store;
  const people = await Promise.all(["a", "b", "c"].map((name) => addPerson(fixture.store, name, "admin", "owner")));
  const results = await Promise.all(people.map(({ id }) => users.change(id, { role: "viewer" }, NOW_MS, "x")));
  expect(results.filter(({ ok }) => ok)).toHaveLength(2);
  expect(await users.hasAdmin()).toBe(true);
});

test("a removed person takes sessions, passkeys, tokens and open links along; and the account's ports are free", async () => {
  await using fixture = await temporaryStore();
  const { store } = fixture;
  await addPerson(store, "ada", "admin", "owner");
  const bob = await addPerson(store, "bob", "user");
  const device = await enrolDevice(store, "den", 1, "bob");
  await holdPort80(store, device, NOW_MS);
  const session = await store.sessions.begin(bob.id, PLACE, "password", NOW_MS);
  const token = await store.tokens.create(
    { userId: bob.id, name: "t", scopes: ["read"], lifetimeSec: null },
    NOW_MS,
    "user:bob",
  );
  const reset = await store.invites.create({ kind: "reset", userId: bob.id, lifetimeSec: 60 }, NOW_MS);
  expect(await store.users.removal(bob.id)).toEqual({ ok: true, value: [device.id] });
  expect(await store.users.remove(bob.id, NOW_MS, "user:ada")).toEqual({
    ok: true,
    value: { user: { ...bob, lastSeenMs: NOW_MS }, accountRemoved: true },
  });
  expect(await store.sessions.bySecret(session?.secret ?? "", PLACE, NOW_MS)).toBeNull();
  expect(await store.tokens.bySecret(token.ok ? token.value.secret : "", NOW_MS)).toBeNull();
  expect(await store.invites.find(reset.ok ? reset.value.secret : "", NOW_MS)).toBeNull();
  expect(await store.leases.list(NOW_MS)).toEqual([]);
  expect(await store.forwards.list()).toEqual([]);
  expect(await store.accounts.find("bob")).toBeNull();
  // The name is free again.
  expect((await addPerson(store, "bob", "user")).account.name).toBe("bob");
});

test("a password ends the other sessions and the links that would set one", async () => {
  await using fixture = await temporaryStore();
  const { users, sessions, invites } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const kept = await sessions.begin(ada.id, PLACE, "password", NOW_MS);
  const other = await sessions.begin(ada.id, PLACE, "password", NOW_MS);
  const reset = await invites.create({ kind: "reset", userId: ada.id, lifetimeSec: 60 }, NOW_MS);
  await users.setPassword(ada.id, "new hash", kept?.session.id ?? null, NOW_MS, "user:ada");
  expect((await users.find(ada.id))?.passwordHash).toBe("new hash");
  expect(await sessions.bySecret(kept?.secret ?? "", PLACE, NOW_MS)).not.toBeNull();
  expect(await sessions.bySecret(other?.secret ?? "", PLACE, NOW_MS)).toBeNull();
  expect(await invites.find(reset.ok ? reset.value.secret : "", NOW_MS)).toBeNull();
  const text = JSON.stringify(await fixture.store.audit.list());
  expect(text).toContain("user.password-changed");
  expect(text).not.toContain("new hash");
});

test.each<[string, number, boolean]>([
  ["later", 11, true],
  ["the same", 10, false],
  ["earlier", 9, false],
])("of one-time codes a step that is %s is taken: %p %p", async (_what, step, taken) => {
  await using fixture = await temporaryStore();
  const { users } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  await users.setTotp(ada.id, { secret: "JBSWY3DP", usedStep: 10 }, NOW_MS, "user:ada");
  expect(await users.takeTotpStep(ada.id, step)).toBe(taken);
  expect(await users.takeTotpStep(ada.id, step)).toBe(false);
});

test("people come in pages, oldest first, also those of the same millisecond", async () => {
  await using fixture = await temporaryStore();
  const { users } = fixture.store;
  for (const name of ["a", "b", "c", "d", "e"]) await addPerson(fixture.store, name, "user", "owner");
  const names: string[] = [];
  let after: { readonly id: string; readonly createdMs: number } | null = null;
  for (let at = 0; at < 4; at++) {
    const listed: Awaited<ReturnType<typeof users.list>> = await users.list({ after, limit: 2 });
    names.push(...listed.map(({ name }) => name));
    after = listed.at(-1) ?? after;
  }
  expect(names.toSorted()).toEqual(["a", "b", "c", "d", "e"]);
});
