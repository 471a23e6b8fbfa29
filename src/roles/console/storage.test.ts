import { expect, test } from "bun:test";
import { join } from "node:path";
import { failureOf, HOME, kindOf, ORIGIN, PASSWORD, tokenOf } from "../../../test/fixtures/access-lab.ts";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { openDatabase, storeOn } from "../../store/store.ts";
import { openAccess } from "./access.ts";
import { tellingOfStorage } from "./storage.ts";

test("with a store that takes nothing nobody signs in, whoever is signed in still reads, and it heals", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "hatchway.db");
  const database = openDatabase(path);
  const store = await storeOn(database, path);
  let wallMs = 1_000_000;
  const access = await openAccess({
    store,
    wallMs: () => wallMs,
    nowMs: () => wallMs,
    publicUrl: () => ORIGIN,
    passkeyHost: () => null,
    passkeyOrigins: () => [],
    passwordCost: { memoryKiB: 8, passes: 1 },
    endDevice: async () => {},
    accountChanged: async () => {},
    onDenied: () => {},
  });
  const token = tokenOf((await access.setupLink(ORIGIN)) ?? "");
  const begun = await access.redeem({ token, name: "ada", password: PASSWORD }, HOME);
  const who = (await access.bySession(begun.secret, HOME))?.principal;
  if (who === undefined) throw new Error("no session");
  const made = await access.makeToken(who, { name: "t", scopes: ["read"], lifetimeSec: null });

  database.run("pragma query_only = on");
  wallMs += 3_600_000;
  const failure = await failureOf(access.signIn({ name: "ada", password: PASSWORD }, HOME));
  expect([failure?.kind, failure?.message]).toEqual([
    "storage",
    `${path} cannot be written: check its owner and its disk.`,
  ]);
  expect((await access.bySession(begun.secret, HOME))?.principal).toEqual(who);
  expect(await access.byToken(made.secret, HOME)).toMatchObject({ userId: who.userId });
  expect((await access.listSessions(who)).map(({ lastSeenMs }) => lastSeenMs)).toEqual([1_000_000]);

  database.run("pragma query_only = off");
  expect(await kindOf(access.signIn({ name: "ada", password: PASSWORD }, HOME))).toBe("none");
  await store.close();
});

test("other failures pass as they are", async () => {
  const broken = tellingOfStorage({ act: () => Promise.reject(new RangeError("other")) });
  await expect(broken.act()).rejects.toBeInstanceOf(RangeError);
});
