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
