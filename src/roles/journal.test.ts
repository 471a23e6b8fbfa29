import { describe, expect, test } from "bun:test";
import { StoreFailure } from "../store/failure.ts";
import type { HoldingChange } from "../store/holdings.ts";
import type { Lease, LeaseConflict } from "../store/leases.ts";
import { Journal } from "./journal.ts";

const FULL = new StoreFailure("disk-full", "The disk is full: make room and try again.");

function change(forwardId: string): HoldingChange {
  return { kind: "release", deviceId: "web1", forwardId };
}

function idsOf(changes: readonly HoldingChange[]): string[] {
  return changes.map((one) => (one.kind === "release" ? one.forwardId : one.kind));
}

/** A journal on a store that answers when the test says so. */
function journalLab() {
  const batches: { readonly ids: string[]; readonly answer: PromiseWithResolvers<(LeaseConflict | null)[]> }[] = [];
  let onBatch = Promise.withResolvers<void>();
  const journal = new Journal<HoldingChange, LeaseConflict>({
    apply: (changes) => {
      const answer = Promise.withResolvers<(LeaseConflict | null)[]>();
      batches.push({ ids: idsOf(changes), answer });
      onBatch.resolve();
      onBatch = Promise.withResolvers();
      return answer.promise;
    },
  });
  const undone: string[] = [];
  return {
    journal,
    undone,
    batches,
    write: (id: string) => journal.write(change(id), () => undone.push(id)),
    async nextBatch() {
      if (batches.length === 0) await onBatch.promise;
      const batch = batches.shift();
      if (batch === undefined) throw new Error("no batch");
      return batch;
    },
  };
}

describe("the journal", () => {
  test("stores what comes together together, in order", async () => {
    const { write, nextBatch, undone } = journalLab();
    const written = Promise.all([write("a"), write("b"), write("c")]);
    const batch = await nextBatch();
    expect(batch.ids).toEqual(["a", "b", "c"]);
    batch.answer.resolve([null, null, null]);
    expect(await written).toEqual([null, null, null]);
    expect(undone).toEqual([]);
  });

  test("stores at most 64 changes at once", async () => {
    const { write, nextBatch } = journalLab();
    const written = Promise.all(Array.from({ length: 100 }, (_, n) => write(`${n}`)));
    for (const count of [64, 36]) {
      const batch = await nextBatch();
      expect(batch.ids).toHaveLength(count);
      batch.answer.resolve(batch.ids.map(() => null));
    }
    expect(await written).toHaveLength(100);
  });

  test("undoes everything that came after a failure as well, newest first", async () => {
    const { write, nextBatch, undone, journal } = journalLab();
    const first = write("a");
    const batch = await nextBatch();
    const later = [write("b"), journal.settled(), write("c")];
    batch.answer.reject(FULL);
    const failure = { kind: "storage", message: FULL.message } as const;
    expect(await Promise.all([first, ...later])).toEqual([failure, failure, failure, failure]);
    expect(undone).toEqual(["c", "b", "a"]);
    const again = write("d");
    (await nextBatch()).answer.resolve([null]);
    expect(await again).toBeNull();
  });

  test("undoes one change whose port the store knows to be another's", async () => {
    const { write, nextBatch, undone } = journalLab();
    const written = Promise.all([write("a"), write("b")]);
    const conflict = { held: { first: 80 } as Lease };
    (await nextBatch()).answer.resolve([conflict, null]);
    expect(await written).toEqual([{ kind: "conflict", conflict }, null]);
    expect(undone).toEqual(["a"]);
  });

  test("fails nobody who waits only for a note", async () => {
    const { journal, nextBatch, undone } = journalLab();
    const noted = journal.note(change("a"));
    const settled = journal.settled();
    (await nextBatch()).answer.reject(FULL);
    expect(await noted).toMatchObject({ kind: "storage" });
    expect(await settled).toBeNull();
    expect(undone).toEqual([]);
  });

  test("rejects with what is no failure of the storage", async () => {
    const { write, nextBatch, undone } = journalLab();
    const written = write("a");
    (await nextBatch()).answer.reject(new TypeError("a fault of ours"));
    await expect(written).rejects.toThrow("a fault of ours");
    expect(undone).toEqual(["a"]);
  });

  test("is settled at once while nothing waits, and idle when all is stored", async () => {
    const { journal, write, nextBatch, batches } = journalLab();
    expect(await journal.settled()).toBeNull();
    await journal.idle();
    const written = write("a");
    const settled = journal.settled();
    (await nextBatch()).answer.resolve([null]);
    expect(await settled).toBeNull();
    expect(await written).toBeNull();
    await journal.idle();
    expect(batches).toEqual([]);
  });
});
