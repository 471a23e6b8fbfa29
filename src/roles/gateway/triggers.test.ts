import { expect, test } from "bun:test";
import { temporaryStore } from "../../../test/fixtures/store.ts";
import type { TriggerRule } from "../../dataplanes/nat/state.ts";
import { GatewayTriggers } from "./triggers.ts";

const RULE: TriggerRule = {
  name: "games",
  out: { tcp: [{ first: 6000, last: 6000 }], udp: [] },
  in: { tcp: [], udp: [{ first: 7000, last: 7010 }] },
  timeoutSec: 60,
  secondHost: "refused",
};

async function lab() {
  const fixture = await temporaryStore();
  const failing = { kernel: false, disk: false };
  const kernel: string[] = [];
  const { triggers: stored } = fixture.store;
  const told = <T>(act: () => Promise<T>): Promise<T> =>
    failing.disk ? Promise.reject(new Error("The disk is full.")) : act();
  const triggers = new GatewayTriggers({
    store: {
      triggers: {
        list: stored.list,
        put: (rule, nowMs) => told(() => stored.put(rule, nowMs)),
        remove: (name, nowMs) => told(() => stored.remove(name, nowMs)),
      },
    },
    wallMs: () => 1_700_000_000_000,
    async apply() {
      if (failing.kernel) throw new Error("The kernel says no.");
      kernel.splice(0, kernel.length, ...triggers.rules().map(({ name }) => name));
    },
    warn: () => undefined,
  });
  const rows = async () => (await stored.list(() => undefined)).map(({ name }) => name);
  return { triggers, kernel, rows, failing, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

test("added and removed, in the kernel and in the store", async () => {
  await using at = await lab();
  await at.triggers.add(RULE);
  expect([at.kernel, await at.rows()]).toEqual([["games"], ["games"]]);
  await at.triggers.remove("games");
  expect([at.kernel, await at.rows()]).toEqual([[], []]);
});

test.each([
  ["kernel", "The kernel says no."],
  ["disk", "The disk is full."],
] as const)("a %s that refuses leaves the rules as they were", async (which, message) => {
  await using at = await lab();
  at.failing[which] = true;
  await expect(at.triggers.add(RULE)).rejects.toThrow(message);
  expect([at.triggers.rules(), at.kernel, await at.rows()]).toEqual([[], [], []]);
  at.failing[which] = false;
  await at.triggers.add(RULE);
  at.failing[which] = true;
  await expect(at.triggers.remove("games")).rejects.toThrow(message);
  expect([at.triggers.rules(), at.kernel, await at.rows()]).toEqual([[RULE], ["games"], ["games"]]);
});
