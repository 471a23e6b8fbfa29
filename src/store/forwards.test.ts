import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { enrolDevice, temporaryStore } from "../../test/fixtures/store.ts";
import { DEFAULT_OPTIONS, type RemoteSpec } from "../core/forward.ts";
import { StoreFailure } from "./failure.ts";

const SPEC: RemoteSpec = {
  id: "web",
  name: "web",
  group: null,
  ports: [{ protocol: "tcp", first: 8000, last: 8999, internalFirst: 80 }],
  options: { ...DEFAULT_OPTIONS, limits: { connections: 10 } },
  enabled: true,
  lifetimeSec: 600,
};

test("forwards are put, replaced, disabled, listed and removed", async () => {
  await using fixture = await temporaryStore();
  const { forwards } = fixture.store;
  const one = await enrolDevice(fixture.store, "one", 1);
  const two = await enrolDevice(fixture.store, "two", 2);
  await forwards.put(one.id, SPEC, "cli", 10);
  await forwards.put(two.id, { ...SPEC, group: "pool" }, "config", 11);
  await forwards.put(one.id, { ...SPEC, name: "site" }, "cli", 12);
  expect(await forwards.list(one.id)).toEqual([
    { deviceId: one.id, spec: { ...SPEC, name: "site" }, origin: "cli", createdMs: 10, updatedMs: 12 },
  ]);
  expect(await forwards.list()).toHaveLength(2);
  expect(await forwards.setEnabled(one.id, "web", false, 13)).toBe(true);
  expect((await forwards.list(one.id))[0]).toMatchObject({ spec: { enabled: false }, updatedMs: 13 });
  expect(await forwards.setEnabled(one.id, "none", false, 13)).toBe(false);
  expect(await forwards.remove(one.id, "web")).toBe(true);
  expect(await forwards.remove(one.id, "web")).toBe(false);
});

test("an unchanged forward is not written again", async () => {
  await using fixture = await temporaryStore();
  const { forwards } = fixture.store;
  const { id } = await enrolDevice(fixture.store, "one", 1);
  await forwards.put(id, SPEC, "cli", 10);
  await forwards.put(id, SPEC, "cli", 20);
  expect((await forwards.list(id))[0]?.updatedMs).toBe(10);
});

test("retain drops what is no longer named", async () => {
  await using fixture = await temporaryStore();
  const { forwards } = fixture.store;
  const { id } = await enrolDevice(fixture.store, "one", 1);
  for (const name of ["a", "b", "c"]) await forwards.put(id, { ...SPEC, id: name }, "cli", 10);
  expect((await forwards.retain(id, ["b", "z"])).sort()).toEqual(["a", "c"]);
  expect((await forwards.list(id)).map(({ spec }) => spec.id)).toEqual(["b"]);
});

test.each(["{", "{}", `{"id":"web"}`])("a spec that someone wrote over (%p) is told, not believed", async (text) => {
  await using fixture = await temporaryStore();
  const { forwards } = fixture.store;
  const { id } = await enrolDevice(fixture.store, "one", 1);
  await forwards.put(id, SPEC, "cli", 10);
  const database = new Database(fixture.path);
  database.run("update forwards set spec = ?", [text]);
  database.close();
  await expect(forwards.list(id)).rejects.toBeInstanceOf(StoreFailure);
});
