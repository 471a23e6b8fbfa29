import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { addPerson, temporaryStore } from "../../test/fixtures/store.ts";
import { SESSION_IDLE_MS, SESSION_LONGEST_MS } from "../core/access/session.ts";

const NOW_MS = 1_000_000;
const PLACE = { address: "192.0.2.1", userAgent: "Test/1" };

test("a sign-in is told with its way and place, and the person was seen", async () => {
  await using fixture = await temporaryStore();
  const { sessions, users, audit } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const begun = await sessions.begin(ada.id, PLACE, "password+totp", NOW_MS);
  const [entry] = await audit.list();
  expect(entry).toMatchObject({
    atMs: NOW_MS,
    actor: "user:ada",
    action: "user.signed-in",
    subject: `user:${ada.id}`,
    detail: { method: "password+totp", address: PLACE.address, session: begun?.session.id },
  });
  expect((await users.find(ada.id))?.lastSeenMs).toBe(NOW_MS);
});

test("nobody unknown or disabled signs in, and nothing is told", async () => {
  await using fixture = await temporaryStore();
  const { sessions, users, audit } = fixture.store;
  await addPerson(fixture.store, "ada", "admin", "owner");
  const bob = await addPerson(fixture.store, "bob", "user");
  await users.change(bob.id, { disabled: true }, NOW_MS, "x");
  const before = await audit.list();
  expect(await sessions.begin(bob.id, PLACE, "password", NOW_MS)).toBeNull();
  expect(await sessions.begin("nobody", PLACE, "password", NOW_MS)).toBeNull();
  expect(await audit.list()).toEqual(before);
});

describe("a session", () => {
  test.each<[string, number, boolean]>([
    ["a moment before its idle time is over", SESSION_IDLE_MS - 1, true],
    ["when its idle time is over", SESSION_IDLE_MS, false],
    ["long after", SESSION_LONGEST_MS, false],
  ])("%s: alive %p", async (_what, laterMs, alive) => {
    await using fixture = await temporaryStore();
    const { sessions } = fixture.store;
    const ada = await addPerson(fixture.store, "ada", "admin", "owner");
    const begun = await sessions.begin(ada.id, PLACE, "password", NOW_MS);
    const nowMs = NOW_MS + laterMs;
    expect(await sessions.list(ada.id, nowMs)).toHaveLength(alive ? 1 : 0);
    expect((await sessions.bySecret(begun?.secret ?? "", PLACE, nowMs)) !== null).toBe(alive);
  });

  test("that ended is gone from the file with the next sign-in", async () => {
    await using fixture = await temporaryStore();
    const { sessions } = fixture.store;
    const ada = await addPerson(fixture.store, "ada", "admin", "owner");
    await sessions.begin(ada.id, PLACE, "password", NOW_MS);
    await sessions.begin(ada.id, PLACE, "password", NOW_MS + SESSION_IDLE_MS);
    const database = new Database(fixture.path, { readonly: true });
    const rows = database.query("select id from sessions").values();
    database.close();
    expect(rows).toHaveLength(1);
  });

  test("is ended by its person alone, once, and that is told", async () => {
    await using fixture = await temporaryStore();
    const { sessions, audit } = fixture.store;
    const ada = await addPerson(fixture.store, "ada", "admin", "owner");
    const bob = await addPerson(fixture.store, "bob", "user");
    const id = (await sessions.begin(ada.id, PLACE, "password", NOW_MS))?.session.id ?? "";
    expect(await sessions.end(bob.id, id, NOW_MS, "user:bob")).toBe(false);
    expect(await sessions.end(ada.id, id, NOW_MS, "user:ada")).toBe(true);
    expect(await sessions.end(ada.id, id, NOW_MS, "user:ada")).toBe(false);
    expect((await audit.list()).filter(({ action }) => action === "session.ended")).toHaveLength(1);
  });
});
