import { describe, expect, test } from "bun:test";
import {
  type AccessLab,
  accessLab,
  failureOf,
  HOME,
  kindOf,
  ORIGIN,
  PASSWORD,
  tokenOf,
} from "../../../../test/fixtures/access-lab.ts";
import { enrolDevice } from "../../../../test/fixtures/store.ts";

const HOUR_MS = 3_600_000;
const NOT_GOOD = "This link is not good any more: ask for a new one.";

const redeem = (lab: AccessLab, token: string, name: string) =>
  lab.access.redeem({ token, name, password: PASSWORD }, HOME);

async function setupToken(lab: AccessLab): Promise<string> {
  return tokenOf((await lab.access.setupLink(ORIGIN)) ?? "");
}

describe("the link of the first start", () => {
  test("makes the first administrator, of the first account, and signs them in", async () => {
    await using lab = await accessLab();
    const link = (await lab.access.setupLink(ORIGIN)) ?? "";
    // Behind #, where no server and no log sees it.
    expect(link).toStartWith(`${ORIGIN}/setup#`);
    expect(new URL(link).search).toBe("");
    const begun = await redeem(lab, tokenOf(link), "ada");
    expect(begun.session.me).toMatchObject({ name: "ada", role: "admin", account: { id: "owner" }, hasTotp: false });
    expect((await lab.who(begun)).name).toBe("ada");
    expect(await lab.access.setupLink(ORIGIN)).toBeNull();
    expect((await lab.store.audit.list()).map(({ actor, action }) => [actor, action])).toEqual([
      ["user:ada", "user.signed-in"],
      ["user:ada", "user.created"],
      ["operator", "invite.created"],
    ]);
  });

  test.each<[string, (lab: AccessLab) => Promise<string>]>([
    ["that is wrong", async (lab) => `${await setupToken(lab)}x`],
    [
      "that was used",
      async (lab) => {
        const token = await setupToken(lab);
        await redeem(lab, token, "ada");
        return token;
      },
    ],
    [
      "of the start before",
      async (lab) => {
        const token = await setupToken(lab);
        await setupToken(lab);
        return token;
      },
    ],
    [
      "that is a day old",
      async (lab) => {
        const token = await setupToken(lab);
        lab.clock.advance(24 * HOUR_MS);
        return token;
      },
    ],
  ])("%s is not good", async (_what, spoil) => {
    await using lab = await accessLab();
    const failure = await failureOf(redeem(lab, await spoil(lab), "eve"));
    expect([failure?.kind, failure?.message]).toEqual(["unauthorized", NOT_GOOD]);
    expect(await lab.store.users.findByName("eve")).toBeNull();
  });

  test("used by twenty at once makes one administrator", async () => {
    await using lab = await accessLab();
    const token = await setupToken(lab);
    const kinds = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        kindOf(
          lab.access.redeem({ token, name: `p${at}`, password: PASSWORD }, { address: `192.0.2.${at}`, userAgent: "" }),
        ),
      ),
    );
    expect(kinds.filter((kind) => kind === "none")).toHaveLength(1);
    const users = await lab.store.users.list({ after: null, limit: 100 });
    expect(users).toHaveLength(1);
  });
});

describe("an invitation", () => {
  test("makes a person with an account of their own, called as they are", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const made = await lab.access.makeInvite(admin, { role: "user", lifetimeSec: 60 });
    expect(await lab.access.listInvites(admin)).toEqual([made.invite]);
    const begun = await redeem(lab, tokenOf(made.link), "bob");
    expect(begun.session.me).toMatchObject({ role: "user", account: { name: "bob" } });
    expect(await lab.access.listInvites(admin)).toEqual([]);
    expect(await kindOf(redeem(lab, tokenOf(made.link), "bob2"))).toBe("unauthorized");
  });

  test("gives the account another name when that one is taken", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    expect((await lab.person(admin, "owner", "user")).session.me.account.name).toBe("owner-2");
  });

  test("makes a person of an account that is there", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const viewer = await lab.person(admin, "eve", "viewer", "owner");
    expect(viewer.session.me).toMatchObject({ role: "viewer", account: { id: "owner" } });
    const failure = await failureOf(lab.access.makeInvite(admin, { role: "user", account: "no", lifetimeSec: 60 }));
    expect([failure?.kind, failure?.errors[0]?.path]).toEqual(["invalid", "account"]);
  });

  test("for a name that is taken, or is none, stays good", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const token = tokenOf((await lab.access.makeInvite(admin, { role: "user", lifetimeSec: 60 })).link);
    const taken = await failureOf(redeem(lab, token, "ADA"));
    expect([taken?.kind, taken?.errors[0]?.path]).toEqual(["conflict", "name"]);
    const none = await failureOf(redeem(lab, token, "a\u202eb"));
    expect([none?.kind, none?.errors[0]?.path]).toEqual(["invalid", "name"]);
    expect(await kindOf(redeem(lab, token, "bob"))).toBe("none");
  });

  test("that was removed is not good; the first administrator's link is none of them", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const made = await lab.access.makeInvite(admin, { role: "user", lifetimeSec: 60 });
    await lab.access.removeInvite(admin, made.invite.id);
    expect(await kindOf(redeem(lab, tokenOf(made.link), "bob"))).toBe("unauthorized");
    expect(await kindOf(lab.access.removeInvite(admin, made.invite.id))).toBe("not-found");
  });
});

describe("a link for a new password", () => {
  test("sets it, removes codes, ends sessions, and is for that person alone", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.person(admin, "bob", "user");
    const { userId } = await lab.who(bob);
    await enrolDevice(lab.store, "den", 1, "bob");
    await lab.store.users.setTotp(userId, { secret: "JBSWY3DPEHPK3PXP", usedStep: 1 }, lab.clock.nowMs, "user:bob");
    const older = await lab.store.invites.create({ kind: "reset", userId, lifetimeSec: 60 }, lab.clock.nowMs);
    const made = await lab.store.invites.create({ kind: "reset", userId, lifetimeSec: 60 }, lab.clock.nowMs);
    if (!made.ok || !older.ok) throw new Error("no link");
    expect(await kindOf(redeem(lab, older.value.secret, "bob"))).toBe("unauthorized");

    const token = made.value.secret;
    const other = await failureOf(redeem(lab, token, "ada"));
    expect([other?.kind, other?.errors[0]?.path]).toEqual(["invalid", "name"]);
    const request = { token, name: "Bob", password: "another good one" };
    const begun = await lab.access.redeem(request, HOME);
    expect(begun.session.me).toMatchObject({ id: userId, name: "bob", hasTotp: false, account: { name: "bob" } });
    expect(await lab.access.bySession(bob.secret, HOME)).toBeNull();
    expect(await kindOf(lab.access.redeem(request, HOME))).toBe("unauthorized");
    expect(await kindOf(lab.access.signIn({ name: "bob", password: "another good one" }, HOME))).toBe("none");
    expect(await lab.store.devices.list()).toHaveLength(1);
  });

  test("is void when the person sets one by themselves", async () => {
    await using lab = await accessLab();
    const ada = await lab.who(await lab.admin());
    const request = { kind: "reset", userId: ada.userId, lifetimeSec: 60 } as const;
    const made = await lab.store.invites.create(request, lab.clock.nowMs);
    await lab.access.changePassword(ada, PASSWORD, "another good one");
    expect(await kindOf(redeem(lab, made.ok ? made.value.secret : "", "ada"))).toBe("unauthorized");
  });
});
