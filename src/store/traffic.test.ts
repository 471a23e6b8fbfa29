import { describe, expect, test } from "bun:test";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { openStore, type Store } from "./store.ts";
import { type Carried, type CarriedIn, DAYS_KEPT_MS, HOURS_KEPT_MS } from "./traffic.ts";

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

const ALL = { sinceMs: DAY, accountId: null, deviceId: null, forward: null } as const;

const shortly = (rows: readonly CarriedIn[]) =>
  rows.map(({ slotMs, bytesIn, bytesOut, visitors }) => [(slotMs - DAY) / HOUR_MS, bytesIn, bytesOut, visitors]);

describe("what forwards carried", () => {
  test("adds up by the hour, and by the day", () =>
    withStore(async ({ traffic }) => {
      await traffic.add([carried("web", 10), carried("ssh", 1)], DAY + 5);
      await traffic.add([carried("web", 5)], DAY + HOUR_MS - 1);
      await traffic.add([carried("web", 7)], DAY + HOUR_MS);
      const hours = { ...ALL, span: "hour" } as const;
      const days = { ...ALL, span: "day" } as const;
      expect(shortly(await traffic.slots(hours))).toEqual([
        [0, 16, 32, 3],
        [1, 7, 14, 1],
      ]);
      expect(shortly(await traffic.slots(days))).toEqual([[0, 23, 46, 4]]);
      expect(shortly(await traffic.slots({ ...hours, sinceMs: DAY + 1 }))).toEqual([[1, 7, 14, 1]]);
      expect(shortly(await traffic.slots({ ...days, sinceMs: DAY + 1 }))).toEqual([]);
      expect(shortly(await traffic.slots({ ...hours, forward: { deviceId: "den", specId: "ssh" } }))).toEqual([
        [0, 1, 2, 1],
      ]);
    }));

  test("is told by forward, the most first", () =>
    withStore(async ({ traffic }) => {
      await traffic.add([carried("ssh", 1), carried("web", 10), carried("nas", 3)], DAY);
      await traffic.add([carried("web", 5)], DAY + HOUR_MS);
      const each = await traffic.forwards({ ...ALL, span: "day" }, 2);
      expect(each).toEqual([carried("web", 15, { visitors: 2 }), carried("nas", 3)]);
    }));

  test("is told an account of its own alone, under the newest names", () =>
    withStore(async ({ traffic }) => {
      const nas = { accountId: "anna", deviceId: "attic" };
      await traffic.add([carried("web", 1), carried("nas", 2, nas)], DAY);
      await traffic.add([carried("nas", 2, { ...nas, name: "files" })], DAY);
      const query = { ...ALL, span: "hour", accountId: "anna" } as const;
      expect(await traffic.forwards(query, 9)).toMatchObject([{ name: "files", deviceId: "attic", bytesIn: 4 }]);
      expect(shortly(await traffic.slots(query))).toEqual([[0, 4, 8, 2]]);
      const ofAttic = { ...ALL, span: "hour", deviceId: "attic" } as const;
      expect(await traffic.forwards(ofAttic, 9)).toMatchObject([{ deviceId: "attic" }]);
      expect(shortly(await traffic.slots(ofAttic))).toEqual([[0, 4, 8, 2]]);
    }));

  test("hours become days, and days end: the sums stay", () =>
    withStore(async ({ traffic }) => {
      await traffic.add([carried("web", 1)], DAY);
      await traffic.add([carried("web", 2)], DAY + 5 * HOUR_MS);
      await traffic.add([carried("web", 4)], DAY + DAY_MS);
      const nowMs = DAY + HOURS_KEPT_MS + DAY_MS;
      await traffic.condense(nowMs);
      await traffic.condense(nowMs);
      expect(shortly(await traffic.slots({ ...ALL, span: "hour" }))).toEqual([[24, 4, 8, 1]]);
      expect(shortly(await traffic.slots({ ...ALL, span: "day" }))).toEqual([
        [0, 3, 6, 2],
        [24, 4, 8, 1],
      ]);
      await traffic.condense(DAY + DAYS_KEPT_MS + DAY_MS);
      expect(shortly(await traffic.slots({ ...ALL, span: "day" }))).toEqual([[24, 4, 8, 1]]);
    }));
});
