import { describe, expect, test } from "bun:test";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { openStore, type Store } from "./store.ts";
import { type Carried, DAYS_KEPT_MS, HOURS_KEPT_MS } from "./traffic.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The begin of a day. */
const DAY = 20_000 * DAY_MS;

const carried = (specId: string, bytesIn: number, more: Partial<Carried> = {}): Carried => ({
  deviceId: "den",
  specId,
  accountId: "owner",
  deviceName: "den",
  name: specId,
  bytesIn,
  bytesOut: 2 * bytesIn,
  visitors: 1,
  ...more,
});

async function withStore(use: (store: Store) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory();
  const store = await openStore(`${directory.path}/hatchway.db`);
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

const shortly = (
  rows: readonly { slotMs: number; specId: string; bytesIn: number; bytesOut: number; visitors: number }[],
) =>
  rows.map(({ slotMs, specId, bytesIn, bytesOut, visitors }) => [
    (slotMs - DAY) / HOUR_MS,
    specId,
    bytesIn,
    bytesOut,
    visitors,
  ]);

describe("what forwards carried", () => {
  test("adds up by the hour, and by the day", () =>
    withStore(async ({ traffic }) => {
      await traffic.add([carried("web", 10), carried("ssh", 1)], DAY + 5);
      await traffic.add([carried("web", 5)], DAY + HOUR_MS - 1);
      await traffic.add([carried("web", 7)], DAY + HOUR_MS);
      const all = { sinceMs: DAY, accountId: null };
      expect(shortly(await traffic.list({ ...all, span: "hour" }))).toEqual([
        [0, "ssh", 1, 2, 1],
        [0, "web", 15, 30, 2],
        [1, "web", 7, 14, 1],
      ]);
      expect(shortly(await traffic.list({ ...all, span: "day" }))).toEqual([
        [0, "ssh", 1, 2, 1],
        [0, "web", 22, 44, 3],
      ]);
      expect(shortly(await traffic.list({ ...all, sinceMs: DAY + HOUR_MS, span: "hour" }))).toEqual([
        [1, "web", 7, 14, 1],
      ]);
    }));

  test("is told an account of its own alone, under the newest names", () =>
    withStore(async ({ traffic }) => {
      await traffic.add([carried("web", 1), carried("nas", 2, { accountId: "anna", deviceId: "attic" })], DAY);
      await traffic.add([carried("nas", 2, { accountId: "anna", deviceId: "attic", name: "files" })], DAY);
      const rows = await traffic.list({ span: "hour", sinceMs: 0, accountId: "anna" });
      expect(rows).toMatchObject([{ name: "files", deviceId: "attic", bytesIn: 4 }]);
    }));

  test("hours become days, and days end: the sums stay", () =>
    withStore(async ({ traffic }) => {
      await traffic.add([carried("web", 1)], DAY);
      await traffic.add([carried("web", 2)], DAY + 5 * HOUR_MS);
      await traffic.add([carried("web", 4)], DAY + DAY_MS);
      const nowMs = DAY + HOURS_KEPT_MS + DAY_MS;
      await traffic.condense(nowMs);
      await traffic.condense(nowMs);
      const all = { sinceMs: DAY, accountId: null };
      expect(shortly(await traffic.list({ ...all, span: "hour" }))).toEqual([[24, "web", 4, 8, 1]]);
      expect(shortly(await traffic.list({ ...all, span: "day" }))).toEqual([
        [0, "web", 3, 6, 2],
        [24, "web", 4, 8, 1],
      ]);
      await traffic.condense(DAY + DAYS_KEPT_MS + DAY_MS);
      expect(shortly(await traffic.list({ ...all, span: "day" }))).toEqual([[24, "web", 4, 8, 1]]);
    }));
});
