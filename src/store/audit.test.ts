import { expect, test } from "bun:test";
import { temporaryStore } from "../../test/fixtures/store.ts";

test("the audit log is read newest first, by subject, and in pages", async () => {
  await using fixture = await temporaryStore();
  const { audit } = fixture.store;
  for (let atMs = 1; atMs <= 6; atMs += 1)
    await audit.append(
      { actor: "relay", action: "device.seen", subject: `device:${atMs % 2}`, detail: { list: [atMs] } },
      atMs,
    );
  const [newest, next] = await audit.list({ limit: 2 });
  expect(newest).toEqual({
    id: newest?.id ?? 0,
    atMs: 6,
    actor: "relay",
    action: "device.seen",
    subject: "device:0",
    detail: { list: [6] },
  });
  expect((await audit.list({ beforeId: next?.id ?? 0, limit: 2 })).map(({ atMs }) => atMs)).toEqual([4, 3]);
  expect((await audit.list({ subject: "device:1" })).map(({ atMs }) => atMs)).toEqual([5, 3, 1]);
});

test("it is read oldest first from a time on, and goes on after an id", async () => {
  await using fixture = await temporaryStore();
  const { audit } = fixture.store;
  for (let atMs = 1; atMs <= 6; atMs += 1)
    await audit.append({ actor: "relay", action: "device.seen", subject: "device:0", detail: {} }, atMs);
  const times = async (afterId: number, sinceMs: number, limit: number) =>
    (await audit.from({ afterId, sinceMs, limit })).map(({ atMs }) => atMs);
  expect(await times(0, 0, 100)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await times(0, 4, 100)).toEqual([4, 5, 6]);
  const page = await audit.from({ afterId: 0, sinceMs: 3, limit: 2 });
  expect(page.map(({ atMs }) => atMs)).toEqual([3, 4]);
  expect(await times(page.at(-1)?.id ?? 0, 3, 2)).toEqual([5, 6]);
  expect(await times(0, 7, 100)).toEqual([]);
});
