import { describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import {
  type AccessLab,
  accessLab,
  failureOf,
  from,
  HOME,
  kindOf,
  ORIGIN,
  PASSWORD,
  tokenOf,
} from "../../../../test/fixtures/access-lab.ts";
import { MIN_PASSWORD_CHARS } from "../../../servers/api/schema.ts";
import { PASSWORD_COST, Passwords } from "./passwords.ts";

// A thousand sign-ins with the real store: a second on an idle machine.
setDefaultTimeout(30_000);

const SEC_MS = 1000;
const MIN_MS = 60_000;
const right = { name: "ada", password: PASSWORD };
const wrong = { name: "ada", password: "wrong horse battery" };

test("nobody signs in before the one-time link was used", async () => {
  await using lab = await accessLab();
  expect(await lab.access.isSetUp()).toBe(false);
  expect(await kindOf(lab.access.signIn(right, HOME))).toBe("setup");
  await lab.admin();
  expect(await lab.access.isSetUp()).toBe(true);
  expect(await kindOf(lab.access.signIn(right, HOME))).toBe("none");
});

test.each([
  ["as it was set", "ada"],
  ["in capitals", "ADA"],
  ["with blanks around", " ada "],
])("a name is taken %s", async (_what, name) => {
  await using lab = await accessLab();
  await lab.admin("Ada");
  const begun = await lab.access.signIn({ name, password: PASSWORD }, HOME);
  expect(begun.session.me).toMatchObject({ name: "Ada", role: "admin", account: { id: "owner", name: "owner" } });
});

describe("1,000 guesses", () => {
  /** Guesses once a second, all wrong; how each was answered. */
  async function guess(lab: AccessLab, addressOf: (at: number) => string): Promise<Record<string, number>> {
    const kinds: Record<string, number> = {};
    for (let at = 0; at < 1_000; at++) {
      const kind = await kindOf(lab.access.signIn({ ...wrong, password: `guess ${at}` }, from(addressOf(at))));
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      lab.clock.advance(SEC_MS);
    }
    return kinds;
  }

  test("of one address: eleven are looked at; its owner is heard elsewhere at once, and there when the wait is over", async () => {
    await using lab = await accessLab();
    await lab.admin();
    const attacker = from("198.51.100.7");
    const kinds = await guess(lab, () => attacker.address);
    expect(kinds["unauthorized"]).toBeLessThanOrEqual(11);
    expect(kinds).toEqual({ unauthorized: kinds["unauthorized"] ?? 0, limited: 1_000 - (kinds["unauthorized"] ?? 0) });

    const refused = await failureOf(lab.access.signIn(right, attacker));
    expect(refused?.kind).toBe("limited");
    expect(refused?.retryAfterSec).toBeGreaterThan(0);
    expect(refused?.message).toMatch(/^Too many tries: wait \d+ (minutes|seconds) and try again\.$/);
    expect(await kindOf(lab.access.signIn(right, HOME))).toBe("none");
    lab.clock.advance((refused?.retryAfterSec ?? 0) * SEC_MS);
    expect(await kindOf(lab.access.signIn(right, attacker))).toBe("none");
  });

  test("of a thousand addresses: each is looked at once; its owner is heard at a new one at once", async () => {
    await using lab = await accessLab();
    await lab.admin();
    const addressOf = (at: number) => `198.18.${at >> 8}.${at & 255}`;
    expect(await guess(lab, addressOf)).toEqual({ unauthorized: 1_000 });
    expect(await kindOf(lab.access.signIn(right, HOME))).toBe("none");
    // What the name earned falls on those who failed at it: none of those of the last ten minutes has a second try.
    expect(await kindOf(lab.access.signIn(right, from(addressOf(999))))).toBe("limited");
    expect(await kindOf(lab.access.signIn(right, from(addressOf(500))))).toBe("limited");
    expect(lab.denied.at(-1)).toMatchObject({ name: "ada", waitMs: 10 * MIN_MS });
  });

  test("side by side from one address: one is looked at", async () => {
    await using lab = await accessLab();
    await lab.admin();
    const attacker = from("198.51.100.7");
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, at) => kindOf(lab.access.signIn({ ...wrong, password: `${at}` }, attacker))),
    );
    expect(answers.filter((kind) => kind === "unauthorized")).toHaveLength(1);
    expect(answers.filter((kind) => kind === "limited")).toHaveLength(999);
    expect(await kindOf(lab.access.signIn(right, HOME))).toBe("none");
  });
});

describe("an unknown name and a disabled person", () => {
  test("get the answer of a wrong password, to the letter, after the same work", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.person(admin, "bob", "user");
    await lab.access.changeUser(admin, bob.session.me.id, { disabled: true });
    const verify = spyOn(Bun.password, "verify");
    try {
      const answers = [];
      for (const [at, name] of ["ada", "nobody", "bob", "\u0000", "x".repeat(1_000)].entries()) {
        const failure = await failureOf(
          lab.access.signIn({ name, password: "wrong horse" }, from(`192.0.2.${10 + at}`)),
        );
        answers.push([failure?.kind, failure?.message, failure?.errors, failure?.retryAfterSec]);
      }
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
      expect(answers[0]?.[0]).toBe("unauthorized");
      expect(verify).toHaveBeenCalledTimes(5);
      // Each of them a hash of the same cost.
      const costs = verify.mock.calls.map(([, hash]) => String(hash).split("$").slice(0, 4).join("$"));
      expect(new Set(costs).size).toBe(1);
    } finally {
      verify.mockRestore();
    }
  });

  test("a disabled person's right password is wrong, in the words of a wrong one", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.person(admin, "bob", "user");
    await lab.access.changeUser(admin, bob.session.me.id, { disabled: true });
    const failure = await failureOf(lab.access.signIn({ name: "bob", password: PASSWORD }, HOME));
    expect([failure?.kind, failure?.message]).toEqual(["unauthorized", "The name or the password is wrong."]);
  });

  // Not how long, which a busy machine blurs, but of what size: an answer without a hash takes a thousandth of this.
  test("takes as long with the cost of the product", async () => {
    const passwords = await Passwords.create({ cost: PASSWORD_COST, nowMs: () => 0, onDenied: () => {} });
    const hash = await passwords.hash("some password", "192.0.2.1");
    const user = { id: "u", disabled: false, passwordHash: hash } as Parameters<Passwords["prove"]>[0];
    const took = async (who: typeof user, address: string): Promise<number> => {
      const begunMs = performance.now();
      expect(await passwords.prove(who, "another", "ada", address)).toBe(false);
      return performance.now() - begunMs;
    };
    const known: number[] = [];
    const unknown: number[] = [];
    for (let at = 0; at < 5; at++) {
      known.push(await took(user, `192.0.2.${at}`));
      unknown.push(await took(null, `198.51.100.${at}`));
    }
    expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 3);
  });
});

describe("setting a password", () => {
  test.each([
    ["of one character", "a".repeat(MIN_PASSWORD_CHARS), "different characters"],
    ["that is the name", "ada-lovelace", "not your name"],
    ["that is the name in capitals", "ADA-LOVELACE", "not your name"],
  ])("%s is refused, and the link stays good", async (_what, password, words) => {
    await using lab = await accessLab();
    const token = tokenOf((await lab.access.setupLink(ORIGIN)) ?? "");
    const failure = await failureOf(lab.access.redeem({ token, name: "ada-lovelace", password }, HOME));
    expect(failure?.kind).toBe("invalid");
    expect(failure?.errors).toEqual([{ path: "password", message: expect.stringContaining(words) }]);
    expect(await kindOf(lab.access.redeem({ token, name: "ada-lovelace", password: PASSWORD }, HOME))).toBe("none");
  });

  test("changing it takes the present one, ends every other session, and the old one is good no more", async () => {
    await using lab = await accessLab();
    const first = await lab.admin();
    const second = await lab.access.signIn(right, HOME);
    const who = await lab.who(second);
    const failure = await failureOf(lab.access.changePassword(who, "not this one", "another good one"));
    expect([failure?.kind, failure?.errors[0]?.path]).toEqual(["invalid", "current"]);
    lab.clock.advance(SEC_MS);
    await lab.access.changePassword(who, PASSWORD, "another good one");
    expect(await lab.access.bySession(first.secret, HOME)).toBeNull();
    expect(await lab.access.bySession(second.secret, HOME)).not.toBeNull();
    expect(await kindOf(lab.access.signIn(right, from("192.0.2.2")))).toBe("unauthorized");
    expect(await kindOf(lab.access.signIn({ name: "ada", password: "another good one" }, HOME))).toBe("none");
  });

  test("a new one that is poor is refused before the present one is looked at", async () => {
    await using lab = await accessLab();
    const who = await lab.who(await lab.admin());
    const failure = await failureOf(lab.access.changePassword(who, PASSWORD, "aaaaaaaaaaaa"));
    expect([failure?.kind, failure?.errors[0]?.path]).toEqual(["invalid", "next"]);
  });

  test("whoever stole a session guesses at the present one no faster than anybody", async () => {
    await using lab = await accessLab();
    const who = await lab.who(await lab.admin());
    let limited = 0;
    for (let at = 0; at < 100; at++) {
      if ((await kindOf(lab.access.changePassword(who, `guess ${at}`, "another good one"))) === "limited") limited++;
      lab.clock.advance(SEC_MS);
    }
    expect(limited).toBeGreaterThanOrEqual(92);
  });

  test("letters that are composed otherwise are the same password", async () => {
    await using lab = await accessLab();
    const who = await lab.who(await lab.admin());
    await lab.access.changePassword(who, PASSWORD, "Ame\u0301lie's garden");
    expect(await kindOf(lab.access.signIn({ name: "ada", password: "Am\u00e9lie's garden" }, HOME))).toBe("none");
  });
});
