import { describe, expect, test } from "bun:test";
import { accessLab, failureOf, HOME, kindOf, PASSWORD } from "../../../../test/fixtures/access-lab.ts";
import { enrolDevice } from "../../../../test/fixtures/store.ts";
import type { AccessBackend, Principal } from "../../../servers/api/backend.ts";
import type { Role } from "../../../servers/api/schema.ts";

type Attempt = (access: AccessBackend, who: Principal, id: string) => Promise<unknown>;
const OF_ADMINISTRATORS: [string, Attempt][] = [
  ["list people", (access, who) => access.listUsers(who, { limit: 10, cursor: null })],
  ["change people", (access, who, id) => access.changeUser(who, id, { role: "viewer" })],
  ["remove people", (access, who, id) => access.removeUser(who, id)],
  ["list invitations", (access, who) => access.listInvites(who)],
  ["invite", (access, who) => access.makeInvite(who, { role: "admin", lifetimeSec: 60 })],
  ["remove invitations", (access, who, id) => access.removeInvite(who, id)],
];
/** What lets somebody in. */
const OF_PEOPLE: [string, Attempt][] = [
  ["invite", (access, who) => access.makeInvite(who, { role: "viewer", lifetimeSec: 60 })],
  ["change a role", (access, who, id) => access.changeUser(who, id, { role: "admin" })],
  ["enable somebody", (access, who, id) => access.changeUser(who, id, { disabled: false })],
  ["change the password", (access, who) => access.changePassword(who, PASSWORD, "another good one")],
  ["begin with codes", (access, who) => access.beginTotp(who)],
  ["confirm codes", (access, who) => access.confirmTotp(who, "123456")],
  ["remove codes", (access, who) => access.removeTotp(who, PASSWORD)],
  ["begin with a passkey", (access, who) => access.beginPasskey(who)],
  ["add a passkey", (access, who) => access.addPasskey(who, { challengeId: "x", response: {} })],
  ["remove a passkey", (access, who) => access.removePasskey(who, "x")],
  ["sign out", (access, who) => access.signOut(who)],
  ["make a token", (access, who) => access.makeToken(who, { name: "t", scopes: ["all"], lifetimeSec: null })],
];

describe.each<[Role]>([["user"], ["viewer"]])("a %s may not", (role) => {
  test.each(OF_ADMINISTRATORS)("%s", async (_what, attempt) => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const who = await lab.who(await lab.person(admin, "bob", role));
    expect(await kindOf(attempt(lab.access, who, admin.userId))).toBe("forbidden");
    expect(await kindOf(attempt(lab.access, who, who.userId))).toBe("forbidden");
  });
});

describe("a token of an administrator, with every scope, may not", () => {
  test.each(OF_PEOPLE)("%s", async (_what, attempt) => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const made = await lab.access.makeToken(admin, { name: "t", scopes: ["all"], lifetimeSec: null });
    const token = await lab.access.byToken(made.secret, HOME);
    if (token === null) throw new Error("the token is not good");
    const failure = await failureOf(attempt(lab.access, token, admin.userId));
    expect(failure?.kind).toBe("forbidden");
    expect(failure?.message).toStartWith("A token cannot do this");
  });
});

test("a token of an administrator with every scope looks, and shuts out; one that reads only looks", async () => {
  await using lab = await accessLab();
  const admin = await lab.who(await lab.admin());
  const bob = await lab.person(admin, "bob", "user");
  const tokenWith = async (scope: "read" | "all") => {
    const made = await lab.access.makeToken(admin, { name: "t", scopes: [scope], lifetimeSec: null });
    const token = await lab.access.byToken(made.secret, HOME);
    if (token === null) throw new Error("the token is not good");
    return token;
  };
  const [reads, all] = [await tokenWith("read"), await tokenWith("all")];
  expect(await lab.access.listSessions(reads)).toMatchObject([{ current: false }]);
  expect(await lab.access.listTokens(reads)).toHaveLength(2);
  expect(await lab.access.listPasskeys(reads)).toEqual([]);
  const disabling = (who: Principal) => lab.access.changeUser(who, bob.session.me.id, { disabled: true });
  expect(await kindOf(disabling(reads))).toBe("forbidden");
  expect((await disabling(all)).disabled).toBe(true);
  const [entry] = await lab.store.audit.list({ limit: 1 });
  expect(entry).toMatchObject({ actor: `token:${all.credentialId}`, action: "user.changed" });
  expect(await kindOf(lab.access.removeToken(reads, all.credentialId))).toBe("forbidden");
  await lab.access.removeToken(all, reads.credentialId);
  expect(await lab.access.listTokens(all)).toHaveLength(1);
});

describe("the last administrator", () => {
  test.each<[string, Attempt]>([
    ["is not removed", (access, who) => access.removeUser(who, who.userId)],
    ["is not disabled", (access, who) => access.changeUser(who, who.userId, { disabled: true })],
    ["is not demoted", (access, who) => access.changeUser(who, who.userId, { role: "user" })],
  ])("%s; the last but one is", async (_what, attempt) => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    // A disabled administrator is none.
    const second = await lab.who(await lab.person(admin, "eve", "admin"));
    await lab.access.changeUser(admin, second.userId, { disabled: true });
    const failure = await failureOf(attempt(lab.access, admin, ""));
    expect([failure?.kind, failure?.message]).toEqual([
      "conflict",
      "This is the last administrator: make somebody else one first.",
    ]);
    await lab.access.changeUser(admin, second.userId, { disabled: false });
    expect(await kindOf(attempt(lab.access, admin, ""))).toBe("none");
    expect(await lab.access.isSetUp()).toBe(true);
  });

  test("two who remove one another at once: one stays", async () => {
    await using lab = await accessLab();
    const ada = await lab.who(await lab.admin());
    const eve = await lab.who(await lab.person(ada, "eve", "admin"));
    const kinds = await Promise.all([
      kindOf(lab.access.removeUser(ada, eve.userId)),
      kindOf(lab.access.removeUser(eve, ada.userId)),
    ]);
    expect(kinds.toSorted()).toEqual(["conflict", "none"]);
  });
});

test("who is disabled is out at once, with sessions and tokens; tokens come back, sessions do not", async () => {
  await using lab = await accessLab();
  const admin = await lab.who(await lab.admin());
  const bob = await lab.person(admin, "bob", "user");
  const who = await lab.who(bob);
  const token = await lab.access.makeToken(who, { name: "t", scopes: ["read"], lifetimeSec: null });
  expect((await lab.access.changeUser(admin, who.userId, { disabled: true })).disabled).toBe(true);
  expect(await lab.access.bySession(bob.secret, HOME)).toBeNull();
  expect(await lab.access.byToken(token.secret, HOME)).toBeNull();
  await lab.access.changeUser(admin, who.userId, { disabled: false });
  expect(await lab.access.bySession(bob.secret, HOME)).toBeNull();
  expect(await lab.access.byToken(token.secret, HOME)).not.toBeNull();
});

test("who is demoted has the lesser role at once, and their tokens too", async () => {
  await using lab = await accessLab();
  const admin = await lab.who(await lab.admin());
  const eve = await lab.person(admin, "eve", "admin");
  const token = await lab.access.makeToken(await lab.who(eve), { name: "t", scopes: ["all"], lifetimeSec: null });
  await lab.access.changeUser(admin, eve.session.me.id, { role: "viewer" });
  expect((await lab.who(eve)).role).toBe("viewer");
  expect((await lab.access.byToken(token.secret, HOME))?.role).toBe("viewer");
});

describe("quotas", () => {
  test("are the account's, part by part, and the relay is told", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.who(await lab.person(admin, "bob", "user"));
    await lab.access.changeUser(admin, bob.userId, { quota: { ports: "8810-8815,8840", maxForwards: 5 } });
    const changed = await lab.access.changeUser(admin, bob.userId, { quota: { maxPorts: 9, maxForwards: null } });
    const rest = { maxDevices: null, bandwidthBytesPerSec: null };
    expect(changed.quota).toEqual({ ports: "8810-8815, 8840", maxForwards: null, maxPorts: 9, ...rest });
    expect(await lab.store.accounts.find("bob")).toMatchObject({ quotaForwards: null, quotaPorts: 9 });
    expect(lab.changedAccounts).toEqual([bob.accountId, bob.accountId]);
    const quota = { maxDevices: 2, bandwidth: "100 Mbit/s" };
    const limited = await lab.access.changeUser(admin, bob.userId, { quota });
    expect(limited.quota).toMatchObject({ maxPorts: 9, maxDevices: 2, bandwidthBytesPerSec: 12_500_000 });
    const unclear = lab.access.changeUser(admin, bob.userId, { quota: { bandwidth: "100 Mb" } });
    expect(await failureOf(unclear)).toMatchObject({ kind: "invalid", errors: [{ path: "quota.bandwidth" }] });
  });

  test("of ports that are none are refused, with the field", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const failure = await failureOf(lab.access.changeUser(admin, admin.userId, { quota: { ports: "99999" } }));
    expect([failure?.kind, failure?.errors[0]?.path]).toEqual(["invalid", "quota.ports"]);
    expect(lab.changedAccounts).toEqual([]);
  });
});

describe("removing somebody", () => {
  test("ends everything that their account alone has", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.person(admin, "bob", "user");
    const { accountId, userId } = await lab.who(bob);
    const token = await lab.access.makeToken(await lab.who(bob), { name: "t", scopes: ["read"], lifetimeSec: null });
    const device = await enrolDevice(lab.store, "den", 1, "bob");
    await lab.store.joinCodes.create({ deviceName: "nas", account: "bob" }, lab.clock.nowMs);
    await lab.access.makeInvite(admin, { role: "viewer", account: accountId, lifetimeSec: 60 });
    await lab.access.removeUser(admin, userId);
    expect(lab.endedDevices).toEqual([device.id]);
    expect(await lab.store.accounts.find(accountId)).toBeNull();
    expect(await lab.store.devices.list({ accountId, revoked: true })).toEqual([]);
    expect(await lab.store.joinCodes.list(lab.clock.nowMs)).toEqual([]);
    expect(await lab.access.listInvites(admin)).toEqual([]);
    expect(await lab.access.bySession(bob.secret, HOME)).toBeNull();
    expect(await lab.access.byToken(token.secret, HOME)).toBeNull();
    expect(await kindOf(lab.access.signIn({ name: "bob", password: PASSWORD }, HOME))).toBe("unauthorized");
    expect(await kindOf(lab.access.removeUser(admin, userId))).toBe("not-found");
    const [entry] = await lab.store.audit.list({ subject: `account:${accountId}`, limit: 1 });
    expect(entry).toMatchObject({
      actor: "user:ada",
      action: "account.removed",
      detail: { name: "bob", devices: [{ id: device.id, name: "den" }] },
    });
  });

  test("leaves an account that others are in, and the first one", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.who(await lab.person(admin, "bob", "user"));
    const eve = await lab.who(await lab.person(admin, "eve", "admin", "bob"));
    await enrolDevice(lab.store, "den", 1, "bob");
    await lab.access.removeUser(admin, bob.userId);
    expect(await lab.store.accounts.find(bob.accountId)).not.toBeNull();
    await lab.access.removeUser(eve, admin.userId);
    expect(await lab.store.accounts.find("owner")).not.toBeNull();
    expect(lab.endedDevices).toEqual([]);
    expect(await lab.store.devices.list()).toHaveLength(1);
  });
});

test("people are listed in pages, each once, also when one goes in between", async () => {
  await using lab = await accessLab();
  const admin = await lab.who(await lab.admin());
  for (const name of ["b", "c", "d", "e"]) {
    lab.clock.advance(1);
    await lab.person(admin, name, "user");
  }
  const names: string[] = [];
  let cursor: string | null = null;
  for (let at = 0; at < 5; at++) {
    const listed: Awaited<ReturnType<AccessBackend["listUsers"]>> = await lab.access.listUsers(admin, {
      limit: 2,
      cursor,
    });
    names.push(...listed.items.map(({ name }) => name));
    cursor = listed.next;
    if (cursor === null) break;
    if (at === 0) await lab.access.removeUser(admin, listed.items.at(-1)?.id ?? "");
  }
  expect(names.toSorted()).toEqual(["ada", "b", "c", "d", "e"]);
  expect(await kindOf(lab.access.listUsers(admin, { limit: 2, cursor: "1 or 1=1" }))).toBe("invalid");
});

test("no list tells a hash or a secret", async () => {
  await using lab = await accessLab();
  const admin = await lab.who(await lab.admin());
  await lab.access.makeToken(admin, { name: "t", scopes: ["read"], lifetimeSec: null });
  await lab.access.makeInvite(admin, { role: "user", lifetimeSec: 60 });
  const said = JSON.stringify([
    await lab.access.listUsers(admin, { limit: 10, cursor: null }),
    await lab.access.listSessions(admin),
    await lab.access.listTokens(admin),
    await lab.access.listInvites(admin),
    await lab.access.me(admin),
    await lab.store.audit.list(),
  ]);
  expect(said).not.toMatch(/argon2|hash|[A-Za-z0-9_-]{43}/i);
});
