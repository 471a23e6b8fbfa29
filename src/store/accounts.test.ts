import { expect, test } from "bun:test";
import { temporaryStore } from "../../test/fixtures/store.ts";
import { NO_LIMITS } from "./accounts.ts";

test("an account is made, found by name and id, limited, and told of in the audit log", async () => {
  await using fixture = await temporaryStore();
  const { accounts, audit } = fixture.store;
  const made = await accounts.create({ name: "team", role: "user", quotaForwards: 5 }, 7);
  if (!made.ok) throw new Error(made.error.message);
  const limits = { ports: "9000-9010", quotaForwards: 2, quotaPorts: 20, quotaDevices: 3, quotaBandwidth: 1_000_000 };
  expect(await accounts.setLimits("team", limits, 8, "owner")).toEqual({
    ok: true,
    value: { ...made.value, ...limits },
  });
  expect(await accounts.find("team")).toEqual({ ...made.value, ...limits });
  expect(await accounts.find(made.value.id)).toEqual({ ...made.value, ...limits });
  expect(await accounts.find("nobody")).toBeNull();
  expect((await audit.list()).map(({ actor, action, atMs }) => [actor, action, atMs])).toEqual([
    ["owner", "account.limited", 8],
    ["operator", "account.created", 7],
  ]);
});

test("a taken name and an unknown account are refused", async () => {
  await using fixture = await temporaryStore();
  const { accounts } = fixture.store;
  const taken = await accounts.create({ name: "owner", role: "user" }, 1);
  expect(taken.ok ? null : taken.error.kind).toBe("name-taken");
  const unknown = await accounts.setLimits("nobody", NO_LIMITS, 1);
  expect(unknown.ok ? null : unknown.error.kind).toBe("unknown");
});
