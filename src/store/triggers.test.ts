import { expect, test } from "bun:test";
import { temporaryStore } from "../../test/fixtures/store.ts";
import { openDatabase } from "./store.ts";

const rule = {
  name: "irc",
  out: { tcp: [{ first: 6667, last: 6667 }], udp: [] },
  in: { tcp: [{ first: 113, last: 113 }], udp: [] },
  timeoutSec: 600,
  secondHost: "takesOver" as const,
};

test("triggers are kept, replaced by name and removed; one that cannot be read is told", async () => {
  await using fixture = await temporaryStore();
  const { triggers } = fixture.store;
  const told: string[] = [];
  const list = () => triggers.list((message) => told.push(message));
  await triggers.put(rule, 1);
  await triggers.put({ ...rule, timeoutSec: 60 }, 2);
  expect(await list()).toEqual([{ ...rule, timeoutSec: 60 }]);
  const database = openDatabase(fixture.path);
  database.run("insert into triggers values ('broken', '{')");
  database.close();
  expect(await list()).toHaveLength(1);
  expect(told).toEqual([expect.stringContaining("broken")]);
  expect(await triggers.remove("irc", 3)).toBe(true);
  expect(await triggers.remove("irc", 4)).toBe(false);
  expect(await list()).toEqual([]);
});
