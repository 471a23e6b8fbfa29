import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { addPerson, temporaryStore } from "../../test/fixtures/store.ts";
import type { NewInvite } from "./invites.ts";
import type { Store } from "./store.ts";

const NOW_MS = 1_000_000;
const eve = { name: "Eve", key: "eve", passwordHash: "hash" };

async function make(store: Store, request: NewInvite, nowMs = NOW_MS) {
  const made = await store.invites.create(request, nowMs);
  if (!made.ok) throw new Error(made.error.message);
  return made.value;
}

test("the link of the first administrator: one at a time, none when there is one", async () => {
  await using fixture = await temporaryStore();
  const { invites } = fixture.store;
  const older = await make(fixture.store, { kind: "setup", lifetimeSec: 60 });
  const newer = await make(fixture.store, { kind: "setup", lifetimeSec: 60 });
  expect(await invites.find(older.secret, NOW_MS)).toBeNull();
  expect(newer.invite).toMatchObject({ kind: "setup", role: "admin", account: { id: "owner", name: "owner" } });
  expect(await invites.list(NOW_MS)).toEqual([]);
  await addPerson(fixture.store, "ada", "admin", "owner");
  // Good still, but there is an administrator now.
  expect(await invites.redeem(newer.secret, eve, NOW_MS)).toEqual({ ok: false, error: { kind: "invalid" } });
  const refused = await invites.create({ kind: "setup", lifetimeSec: 60 }, NOW_MS);
  expect(refused.ok ? null : refused.error.kind).toBe("set-up");
  await invites.endSetup();
  expect(await invites.find(newer.secret, NOW_MS)).toBeNull();
});

test("an invitation is found until its time is over, listed, and removed once", async () => {
  await using fixture = await temporaryStore();
  const { invites, audit } = fixture.store;
  const made = await make(fixture.store, { kind: "invite", role: "user", account: null, lifetimeSec: 60 });
  expect(await invites.list(NOW_MS)).toEqual([made.invite]);
  expect(await invites.find(made.secret, NOW_MS + 59_999)).toEqual(made.invite);
  expect(await invites.find(made.secret, NOW_MS + 60_000)).toBeNull();
  expect(await invites.remove(made.invite.id, NOW_MS, "user:ada")).toBe(true);
  expect(await invites.remove(made.invite.id, NOW_MS, "user:ada")).toBe(false);
  expect((await audit.list()).map(({ action }) => action)).toEqual(["invite.removed", "invite.created"]);
});

test("its secret is kept nowhere", async () => {
  await using fixture = await temporaryStore();
  const { secret } = await make(fixture.store, { kind: "invite", role: "user", account: null, lifetimeSec: 60 });
  const database = new Database(fixture.path, { readonly: true });
  const rows = ["invites", "audit"].flatMap((table) => database.query(`select * from ${table}`).values());
  database.close();
  expect(JSON.stringify(rows)).not.toContain(secret);
});

describe("redeeming", () => {
  test("makes the person, their account and nothing else; told as theirs", async () => {
    await using fixture = await temporaryStore();
    const { invites, accounts, audit } = fixture.store;
    const made = await make(fixture.store, { kind: "invite", role: "viewer", account: null, lifetimeSec: 60 });
    const redeemed = await invites.redeem(made.secret, eve, NOW_MS);
    expect(redeemed.ok ? redeemed.value : null).toMatchObject({
      name: "Eve",
      role: "viewer",
      account: { name: "Eve" },
    });
    expect((await accounts.list()).map(({ name, role }) => [name, role]).toSorted()).toEqual([
      ["Eve", "user"],
      ["owner", "admin"],
    ]);
    expect((await audit.list({ limit: 2 })).map(({ actor, action }) => [actor, action])).toEqual([
      ["user:Eve", "user.created"],
      ["user:Eve", "account.created"],
    ]);
  });

  test("by twenty at once makes one", async () => {
    await using fixture = await temporaryStore();
    const made = await make(fixture.store, { kind: "invite", role: "user", account: "owner", lifetimeSec: 60 });
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        fixture.store.invites.redeem(made.secret, { ...eve, name: `e${at}`, key: `e${at}` }, NOW_MS),
      ),
    );
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await fixture.store.users.list({ after: null, limit: 100 })).toHaveLength(1);
  });

  test("for a name that is taken makes nothing and leaves the link", async () => {
    await using fixture = await temporaryStore();
    const { invites, accounts } = fixture.store;
    await addPerson(fixture.store, "eve", "user");
    const made = await make(fixture.store, { kind: "invite", role: "user", account: null, lifetimeSec: 60 });
    expect(await invites.redeem(made.secret, eve, NOW_MS)).toEqual({ ok: false, error: { kind: "name-taken" } });
    expect(await accounts.list()).toHaveLength(2);
    expect((await invites.redeem(made.secret, { ...eve, name: "Eva", key: "eva" }, NOW_MS)).ok).toBe(true);
  });

  test("a new password removes codes and sessions; another's name is refused", async () => {
    await using fixture = await temporaryStore();
    const { invites, users, sessions } = fixture.store;
    const ada = await addPerson(fixture.store, "ada", "admin", "owner");
    await users.setTotp(ada.id, { secret: "JBSWY3DP", usedStep: 1 }, NOW_MS, "user:ada");
    const place = { address: "192.0.2.1", userAgent: "" };
    const begun = await sessions.begin(ada.id, place, "password", NOW_MS);
    const made = await make(fixture.store, { kind: "reset", userId: ada.id, lifetimeSec: 60 });
    expect(await invites.redeem(made.secret, eve, NOW_MS)).toEqual({
      ok: false,
      error: { kind: "other-name", name: "ada" },
    });
    const redeemed = await invites.redeem(made.secret, { name: "ADA", key: "ada", passwordHash: "new" }, NOW_MS);
    expect(redeemed.ok ? redeemed.value : null).toMatchObject({
      id: ada.id,
      name: "ada",
      passwordHash: "new",
      totpSecret: null,
      totpLastStep: null,
    });
    expect(await sessions.bySecret(begun?.secret ?? "", place, NOW_MS)).toBeNull();
    expect((await invites.redeem(made.secret, { name: "ADA", key: "ada", passwordHash: "x" }, NOW_MS)).ok).toBe(false);
  });

  test.each<[string, NewInvite, string]>([
    ["an account that is none", { kind: "invite", role: "user", account: "no", lifetimeSec: 60 }, "unknown-account"],
    ["a person who is none", { kind: "reset", userId: "no", lifetimeSec: 60 }, "unknown-user"],
  ])("a link for %s is not made", async (_what, request, kind) => {
    await using fixture = await temporaryStore();
    const refused = await fixture.store.invites.create(request, NOW_MS);
    expect<string | null>(refused.ok ? null : refused.error.kind).toBe(kind);
  });
});
