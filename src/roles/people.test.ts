import { expect, test } from "bun:test";
import { addPerson, enrolDevice, temporaryStore } from "../../test/fixtures/store.ts";
import type { Store } from "../store/store.ts";
import { ControlError } from "./control.ts";
import { peopleControl } from "./people.ts";

const NOW_MS = 1_000_000;
const view = (store: Store, ended: string[] = [], changed: string[] = []) => ({
  store,
  consoleUrl: () => "https://relay.example",
  wallMs: () => NOW_MS,
  endDevice: async (id: string) => void ended.push(id),
  accountChanged: async (id: string) => void changed.push(id),
});
const secretOf = (link: string): string => new URL(link).hash.slice(1);

test("people are listed, all of them", async () => {
  await using fixture = await temporaryStore();
  const control = peopleControl(view(fixture.store));
  expect(await control.listPeople()).toEqual([]);
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  await addPerson(fixture.store, "bob", "viewer");
  const people = await control.listPeople();
  expect(people.map(({ name, role, account }) => [name, role, account]).toSorted()).toEqual([
    ["ada", "admin", "owner"],
    ["bob", "viewer", "bob"],
  ]);
  expect(JSON.stringify(people)).not.toContain(ada.passwordHash);
});

test("an invitation is a link that makes a person, told as the operator's", async () => {
  await using fixture = await temporaryStore();
  const link = await peopleControl(view(fixture.store)).invitePerson({ role: "user", lifetimeSec: 60 });
  expect(link).toStartWith("https://relay.example/invite#");
  const eve = { name: "eve", key: "eve", passwordHash: "hash" };
  const redeemed = await fixture.store.invites.redeem(secretOf(link), eve, NOW_MS);
  expect(redeemed.ok ? redeemed.value.role : null).toBe("user");
  const entries = await fixture.store.audit.list();
  expect(entries.at(-1)).toMatchObject({ actor: "operator", action: "invite.created" });
  expect(JSON.stringify(entries)).not.toContain(secretOf(link));
});

test("a reset is a link for that person, by a name in any case", async () => {
  await using fixture = await temporaryStore();
  const ada = await addPerson(fixture.store, "ada", "admin", "owner");
  const link = await peopleControl(view(fixture.store)).resetPerson({ name: "ADA", lifetimeSec: 60 });
  expect(link).toStartWith("https://relay.example/reset#");
  const [secret = "", name] = secretOf(link).split("/");
  expect(name).toBe("ada");
  expect(await fixture.store.invites.find(secret, NOW_MS)).toMatchObject({ kind: "reset", userId: ada.id });
});

test("a person's role is changed, and they are shut out and let in again", async () => {
  await using fixture = await temporaryStore();
  await addPerson(fixture.store, "ada", "admin", "owner");
  await addPerson(fixture.store, "bob", "user");
  const control = peopleControl(view(fixture.store));
  expect(await control.changePerson({ name: "BOB", role: "admin" })).toMatchObject({ name: "bob", role: "admin" });
  expect(await control.changePerson({ name: "bob", disabled: true })).toMatchObject({ role: "admin", disabled: true });
  expect(await control.changePerson({ name: "bob", disabled: false })).toMatchObject({ disabled: false });
  const [entry] = await fixture.store.audit.list();
  expect(entry).toMatchObject({ actor: "operator", action: "user.changed" });
});

test("a person goes with the devices that their account alone has, and their name is free", async () => {
  await using fixture = await temporaryStore();
  await addPerson(fixture.store, "ada", "admin", "owner");
  const bob = await addPerson(fixture.store, "bob", "user");
  const device = await enrolDevice(fixture.store, "den", 1, bob.account.name);
  const ended: string[] = [];
  const changed: string[] = [];
  const control = peopleControl(view(fixture.store, ended, changed));
  expect(await control.removePerson("bob")).toMatchObject({ name: "bob", role: "user" });
  expect(ended).toEqual([device.id]);
  expect(changed).toEqual([bob.account.id]);
  expect((await control.listPeople()).map(({ name }) => name)).toEqual(["ada"]);
});

test("tokens are a person's own: made, listed, good, and removed by their name", async () => {
  await using fixture = await temporaryStore();
  await addPerson(fixture.store, "ada", "admin", "owner");
  await addPerson(fixture.store, "bob", "user");
  const control = peopleControl(view(fixture.store));
  const draft = { person: "bob", name: "ci", scope: "forwards", lifetimeSec: 60 } as const;
  const { secret, token } = await control.makeToken(draft);
  expect(token).toMatchObject({ name: "ci", scopes: ["forwards"], expiresMs: NOW_MS + 60_000 });
  expect((await fixture.store.tokens.bySecret(secret, NOW_MS))?.user.name).toBe("bob");
  expect(JSON.stringify(await control.listTokens({ person: "bob" }))).not.toContain(secret);
  expect(await control.listTokens({ person: "ada" })).toEqual([]);
  expect(await control.removeToken({ person: "bob", nameOrId: "ci" })).toMatchObject({ id: token.id });
  expect(await fixture.store.tokens.bySecret(secret, NOW_MS)).toBeNull();
  const again = control.removeToken({ person: "bob", nameOrId: "ci" }).catch((cause: unknown) => cause);
  expect(await again).toMatchObject({ kind: "usage", message: expect.stringContaining("token ls") });
});

test("of two tokens of one name the id says which", async () => {
  await using fixture = await temporaryStore();
  await addPerson(fixture.store, "ada", "admin", "owner");
  const control = peopleControl(view(fixture.store));
  const draft = { person: "ada", name: "ci", scope: "read", lifetimeSec: null } as const;
  const [first] = [await control.makeToken(draft), await control.makeToken(draft)];
  const byName = control.removeToken({ person: "ada", nameOrId: "ci" }).catch((cause: unknown) => cause);
  expect(await byName).toMatchObject({ kind: "usage", message: expect.stringContaining("give the id") });
  expect((await control.removeToken({ person: "ada", nameOrId: first.token.id })).id).toBe(first.token.id);
  expect((await control.removeToken({ person: "ada", nameOrId: "ci" })).id).not.toBe(first.token.id);
});

test.each<[string, (control: ReturnType<typeof peopleControl>) => Promise<unknown>, string]>([
  [
    "an account",
    (control) => control.invitePerson({ role: "user", account: "no", lifetimeSec: 60 }),
    'no account "no"',
  ],
  ["a person", (control) => control.resetPerson({ name: "no", lifetimeSec: 60 }), "hatchway user ls"],
  ["a person to change", (control) => control.changePerson({ name: "no", disabled: true }), "hatchway user ls"],
  ["a person to remove", (control) => control.removePerson("no"), "hatchway user ls"],
  ["a person with tokens", (control) => control.listTokens({ person: "no" }), "hatchway user ls"],
  ["whose tokens, when nobody is named,", (control) => control.listTokens({ person: null }), "--user"],
])("%s that is none is told", async (_what, attempt, words) => {
  await using fixture = await temporaryStore();
  const failure = await attempt(peopleControl(view(fixture.store))).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(ControlError);
  expect(failure).toMatchObject({ kind: "usage", message: expect.stringContaining(words) });
});

test.each<[string, (control: ReturnType<typeof peopleControl>) => Promise<unknown>, string]>([
  ["disabled", (control) => control.changePerson({ name: "ada", disabled: true }), "last administrator"],
  ["made a viewer", (control) => control.changePerson({ name: "ada", role: "viewer" }), "last administrator"],
  ["removed", (control) => control.removePerson("ada"), "last administrator"],
])("the last administrator is not %s", async (_what, attempt, words) => {
  await using fixture = await temporaryStore();
  await addPerson(fixture.store, "ada", "admin", "owner");
  const failure = await attempt(peopleControl(view(fixture.store))).catch((cause: unknown) => cause);
  expect(failure).toMatchObject({ kind: "usage", message: expect.stringContaining(words) });
});
