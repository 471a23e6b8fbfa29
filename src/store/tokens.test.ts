import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { addPerson, temporaryStore } from "../../test/fixtures/store.ts";
import { SEEN_EVERY_MS } from "../core/access/session.ts";
import type { Store } from "./store.ts";
import type { NewToken } from "./tokens.ts";

const NOW_MS = 1_000_000;

async function make(store: Store, userId: string, more: Partial<NewToken> = {}) {
  const request = { userId, name: "ci", scopes: ["read" as const], lifetimeSec: null, ...more };
  const made = await store.tokens.create(request, NOW_MS, "user:ada");
  if (!made.ok) throw new Error(made.error);
  return made.value;
}

test("a token is found by its secret, with its owner; its use is written now and then", async () => {
  await using fixture = await temporaryStore();
  const { tokens, users } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const made = await make(fixture.store, ada.id, { scopes: ["all", "read"], lifetimeSec: 3_600 });
  expect(made.token).toEqual({
    id: made.token.id,
    userId: ada.id,
    name: "ci",
    scopes: ["read", "all"],
    createdMs: NOW_MS,
    expiresMs: NOW_MS + 3_600_000,
    lastUsedMs: null,
  });
  const lastUsed = async (nowMs: number) => {
    await tokens.bySecret(made.secret, nowMs);
    return (await tokens.find(made.token.id))?.lastUsedMs ?? null;
  };
  expect(await lastUsed(NOW_MS)).toBe(NOW_MS);
  expect(await lastUsed(NOW_MS + SEEN_EVERY_MS - 1)).toBe(NOW_MS);
  expect(await lastUsed(NOW_MS + SEEN_EVERY_MS)).toBe(NOW_MS + SEEN_EVERY_MS);
  expect((await users.find(ada.id))?.lastSeenMs).toBe(NOW_MS + SEEN_EVERY_MS);
});

test("a scope that this program does not know gives no right", async () => {
  await using fixture = await temporaryStore();
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const made = await make(fixture.store, ada.id);
  const database = new Database(fixture.path);
  database.run("update tokens set scopes = 'read everything'");
  database.close();
  expect((await fixture.store.tokens.find(made.token.id))?.scopes).toEqual(["read"]);
});

test("it is removed by its owner alone, and that is told without the secret", async () => {
  await using fixture = await temporaryStore();
  const { tokens, audit } = fixture.store;
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const bob = await addPerson(fixture.store, "bob", "user");
  const made = await make(fixture.store, ada.id);
  expect(await tokens.remove(bob.id, made.token.id, NOW_MS, "user:bob")).toBe(false);
  expect(await tokens.remove(ada.id, made.token.id, NOW_MS, "user:ada")).toBe(true);
  expect(await tokens.bySecret(made.secret, NOW_MS)).toBeNull();
  expect(await tokens.list(ada.id)).toEqual([]);
  const told = await audit.list({ subject: `token:${made.token.id}` });
  expect(told.map(({ action }) => action)).toEqual(["token.removed", "token.created"]);
  expect(JSON.stringify(told)).not.toContain(made.secret.slice("hatchway_".length));
});
