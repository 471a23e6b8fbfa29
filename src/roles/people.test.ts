import { expect, test } from "bun:test";
import { addPerson, temporaryStore } from "../../test/fixtures/store.ts";
import type { Store } from "../store/store.ts";
import { ControlError } from "./control.ts";
import { peopleControl } from "./people.ts";

const NOW_MS = 1_000_000;
const view = (store: Store) => ({ store, consoleUrl: () => "https://relay.example", wallMs: () => NOW_MS });
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
  expect(await fixture.store.invites.find(secretOf(link), NOW_MS)).toMatchObject({ kind: "reset", userId: ada.id });
});

test.each<[string, (control: ReturnType<typeof peopleControl>) => Promise<unknown>, string]>([
  [
    "an account",
    (control) => control.invitePerson({ role: "user", account: "no", lifetimeSec: 60 }),
    'no account "no"',
  ],
  ["a person", (control) => control.resetPerson({ name: "no", lifetimeSec: 60 }), "hatchway user ls"],
])("%s that is none is told", async (_what, attempt, words) => {
  await using fixture = await temporaryStore();
  const failure = await attempt(peopleControl(view(fixture.store))).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(ControlError);
  expect(failure).toMatchObject({ kind: "usage", message: expect.stringContaining(words) });
});
