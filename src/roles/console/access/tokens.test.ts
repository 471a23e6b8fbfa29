import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { accessLab, HOME, kindOf } from "../../../../test/fixtures/access-lab.ts";

const MIN_MS = 60_000;

test("a token stands for its owner, with its scopes, until it is removed", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const made = await lab.access.makeToken(who, { name: "ci", scopes: ["forwards", "read", "read"], lifetimeSec: null });
  expect(made.secret).toMatch(/^hatchway_[A-Za-z0-9_-]{43}$/);
  expect(made.token).toMatchObject({ name: "ci", scopes: ["read", "forwards"], expiresMs: null, lastUsedMs: null });
  expect(await lab.access.byToken(made.secret, HOME)).toEqual({
    ...who,
    scopes: ["read", "forwards"],
    credentialId: made.token.id,
  });
  expect(await lab.access.listTokens(who)).toEqual([{ ...made.token, lastUsedMs: lab.clock.nowMs }]);
  await lab.access.removeToken(who, made.token.id);
  expect(await lab.access.byToken(made.secret, HOME)).toBeNull();
  expect(await kindOf(lab.access.removeToken(who, made.token.id))).toBe("not-found");
  const told = (await lab.store.audit.list({ subject: `token:${made.token.id}` })).map(({ actor, action }) => [
    actor,
    action,
  ]);
  expect(told).toEqual([
    ["user:ada", "token.removed"],
    ["user:ada", "token.created"],
  ]);
});

test("it expires to the millisecond, and is listed as expired", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const made = await lab.access.makeToken(who, { name: "ci", scopes: ["read"], lifetimeSec: 60 });
  lab.clock.advance(MIN_MS - 1);
  expect(await lab.access.byToken(made.secret, HOME)).not.toBeNull();
  lab.clock.advance(1);
  expect(await lab.access.byToken(made.secret, HOME)).toBeNull();
  expect((await lab.access.listTokens(who)).map(({ expiresMs }) => expiresMs)).toEqual([lab.clock.nowMs]);
});

describe("what is no token", () => {
  test.each([
    ["nothing", ""],
    ["a guess", `hatchway_${"A".repeat(43)}`],
    ["something long", "x".repeat(100_000)],
  ])("%s opens nothing", async (_what, secret) => {
    await using lab = await accessLab();
    await lab.admin();
    expect(await lab.access.byToken(secret, HOME)).toBeNull();
  });

  test("a session is not a token, nor a token a session", async () => {
    await using lab = await accessLab();
    const begun = await lab.admin();
    const made = await lab.access.makeToken(await lab.who(begun), { name: "t", scopes: ["all"], lifetimeSec: null });
    expect(await lab.access.byToken(begun.secret, HOME)).toBeNull();
    expect(await lab.access.bySession(made.secret, HOME)).toBeNull();
  });
});

test("another's token is not listed and not removed", async () => {
  await using lab = await accessLab();
  const admin = await lab.who(await lab.admin());
  const bob = await lab.who(await lab.person(admin, "bob", "user"));
  const made = await lab.access.makeToken(bob, { name: "t", scopes: ["all"], lifetimeSec: null });
  expect(await lab.access.listTokens(admin)).toEqual([]);
  expect(await kindOf(lab.access.removeToken(admin, made.token.id))).toBe("not-found");
  expect(await lab.access.byToken(made.secret, HOME)).not.toBeNull();
});

test("its secret is kept nowhere", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const { secret } = await lab.access.makeToken(who, { name: "t", scopes: ["all"], lifetimeSec: null });
  const database = new Database(lab.path, { readonly: true });
  const rows = ["tokens", "audit"].flatMap((table) => database.query(`select * from ${table}`).values());
  database.close();
  expect(JSON.stringify(rows)).not.toContain(secret.slice("hatchway_".length));
});

test("a person has a hundred at most", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const draft = { name: "t", scopes: ["read" as const], lifetimeSec: null };
  for (let at = 0; at < 100; at++) await lab.access.makeToken(who, draft);
  expect(await kindOf(lab.access.makeToken(who, draft))).toBe("conflict");
});
