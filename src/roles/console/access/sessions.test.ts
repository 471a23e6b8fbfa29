import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { accessLab, from, HOME, kindOf, PASSWORD } from "../../../../test/fixtures/access-lab.ts";

const DAY_MS = 86_400_000;
const MIN_MS = 60_000;
const right = { name: "ada", password: PASSWORD };

describe("a session", () => {
  test("has a secret of 256 bits, new at each sign-in, kept nowhere", async () => {
    await using lab = await accessLab();
    const begun = [await lab.admin(), await lab.access.signIn(right, HOME), await lab.access.signIn(right, HOME)];
    expect(new Set(begun.map(({ secret }) => secret)).size).toBe(3);
    const database = new Database(lab.path, { readonly: true });
    const tables = ["sessions", "audit", "users", "invites"];
    const text = JSON.stringify(tables.flatMap((table) => database.query(`select * from ${table}`).values()));
    database.close();
    for (const { secret } of begun) {
      expect(Buffer.from(secret, "base64url")).toHaveLength(32);
      // Nor half of one: the cookie has one half and the page the other.
      expect(text).not.toContain(secret.slice(0, secret.length >> 1));
      expect(text).not.toContain(secret.slice(secret.length >> 1));
    }
    expect(text).not.toContain(PASSWORD);
  });

  test("cannot be fixed: what was there before the sign-in is nobody's after it", async () => {
    await using lab = await accessLab();
    const victim = await lab.admin();
    const planted = ["planted-by-an-attacker", "A".repeat(43), ""];
    const begun = await lab.access.signIn(right, HOME);
    for (const secret of planted) expect(await lab.access.bySession(secret, HOME)).toBeNull();
    // Signing in again in the same browser does not carry the older secret on.
    await lab.access.signOut(await lab.who(victim));
    expect(await lab.access.bySession(victim.secret, HOME)).toBeNull();
    expect(await lab.access.bySession(begun.secret, HOME)).not.toBeNull();
  });

  test("is over after the sign-out: a stolen cookie opens nothing, the other browser goes on", async () => {
    await using lab = await accessLab();
    const one = await lab.admin();
    const other = await lab.access.signIn(right, from("192.0.2.2"));
    const thief = from("203.0.113.66");
    expect(await lab.access.bySession(one.secret, thief)).not.toBeNull();
    await lab.access.signOut(await lab.who(one));
    expect(await lab.access.bySession(one.secret, thief)).toBeNull();
    expect(await lab.access.bySession(one.secret, HOME)).toBeNull();
    expect(await lab.access.bySession(other.secret, HOME)).not.toBeNull();
  });

  test("lives a week after its last use and a month in all", async () => {
    await using lab = await accessLab();
    const idle = await lab.admin();
    const used = await lab.access.signIn(right, HOME);
    expect(used.session.expiresMs).toBe(lab.clock.nowMs + 7 * DAY_MS);
    const begunMs = lab.clock.nowMs;
    for (let day = 1; day < 30; day++) {
      lab.clock.advance(DAY_MS);
      const found = await lab.access.bySession(used.secret, HOME);
      expect(found?.expiresMs).toBe(Math.min(lab.clock.nowMs + 7 * DAY_MS, begunMs + 30 * DAY_MS));
      if (day === 7) expect(await lab.access.bySession(idle.secret, HOME)).toBeNull();
    }
    lab.clock.advance(DAY_MS);
    expect(await lab.access.bySession(used.secret, HOME)).toBeNull();
  });

  test("that is seen is written once in five minutes, with where", async () => {
    await using lab = await accessLab();
    const begun = await lab.admin();
    const who = await lab.who(begun);
    const seen = async () => (await lab.access.listSessions(who))[0];
    const firstMs = lab.clock.nowMs;
    lab.clock.advance(5 * MIN_MS - 1);
    await lab.access.bySession(begun.secret, from("192.0.2.77"));
    expect(await seen()).toMatchObject({ lastSeenMs: firstMs, address: HOME.address });
    lab.clock.advance(1);
    await lab.access.bySession(begun.secret, { address: "192.0.2.77", userAgent: "x".repeat(5_000) });
    expect(await seen()).toMatchObject({
      lastSeenMs: lab.clock.nowMs,
      address: "192.0.2.77",
      userAgent: "x".repeat(256),
    });
  });

  test("is listed and ended by its person alone", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.person(admin, "bob", "user");
    const second = await lab.access.signIn({ name: "bob", password: PASSWORD }, from("192.0.2.2"));
    const who = await lab.who(bob);
    const listed = await lab.access.listSessions(who);
    expect(listed.map(({ current, address }) => [current, address]).toSorted()).toEqual([
      [false, "192.0.2.2"],
      [true, HOME.address],
    ]);
    const other = listed.find(({ current }) => !current)?.id ?? "";
    expect(await kindOf(lab.access.endSession(admin, other))).toBe("not-found");
    await lab.access.endSession(who, other);
    expect(await lab.access.bySession(second.secret, HOME)).toBeNull();
    expect(await kindOf(lab.access.endSession(who, other))).toBe("not-found");
  });

  test("number 51 ends the one that was not used for longest", async () => {
    await using lab = await accessLab();
    const first = await lab.admin();
    const all = [];
    for (let at = 0; at < 50; at++) {
      lab.clock.advance(1);
      all.push(await lab.access.signIn(right, HOME));
    }
    expect(await lab.access.bySession(first.secret, HOME)).toBeNull();
    expect(await lab.access.bySession(all[0]?.secret ?? "", HOME)).not.toBeNull();
  });
});

test("me tells who asks, and with which token", async () => {
  await using lab = await accessLab();
  const begun = await lab.admin();
  const who = await lab.who(begun);
  expect(await lab.access.me(who)).toEqual(begun.session.me);
  const made = await lab.access.makeToken(who, { name: "ci", scopes: ["read"], lifetimeSec: 60 });
  const token = await lab.access.byToken(made.secret, HOME);
  expect(token === null ? null : (await lab.access.me(token)).token).toMatchObject({ name: "ci", scopes: ["read"] });
});
