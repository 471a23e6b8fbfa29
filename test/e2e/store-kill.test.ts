import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { openStore } from "../../src/store/store.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";

const CHILD = join(import.meta.dir, "store-child.ts");
const KILLS = 100;
/** Children that write to their own database at the same time: the start of a process takes longer than its work. */
const LANES = 4;
/** A child is killed somewhere in this time after so many acknowledgements; it gives one every 0.2 to 2 ms. */
const LIFE_MS_MAX = 40;
const ACKNOWLEDGED_MAX = 4;
const TEST_TIMEOUT_MS = 60_000;
const SEED = 20_261_122;

interface Child {
  /** The ids that it has acknowledged, when it has ended. */
  readonly acknowledged: Promise<string[]>;
  readonly ready: Promise<void>;
  /** Resolves when it has acknowledged so many; 0 = when it is ready. Rejects when it ends before. */
  hasAcknowledged(count: number): Promise<void>;
  kill(): void;
  readonly exited: Promise<number>;
}

function startChild(database: string, ...mode: string[]): Child {
  const child = Bun.spawn([process.execPath, CHILD, database, ...mode], { stdout: "pipe", stderr: "inherit" });
  const ready = Promise.withResolvers<void>();
  let lines = 0;
  const waiting = new Set<{
    readonly count: number;
    readonly resolve: () => void;
    readonly reject: (e: Error) => void;
  }>();
  const read = async () => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      if (text.startsWith("ready\n")) ready.resolve();
      lines = text.split("\n").length - 2;
      for (const one of waiting) if (lines >= one.count) one.resolve();
    }
    ready.reject(new Error("the child ended before it was ready"));
    for (const one of waiting) one.reject(new Error(`the child ended before it had acknowledged ${one.count}`));
    // What stands behind the last line feed was cut off by the kill: it is no acknowledgement.
    return text.split("\n").slice(1, -1);
  };
  return {
    acknowledged: read(),
    ready: ready.promise,
    hasAcknowledged: async (count) => {
      await ready.promise;
      if (lines >= count) return;
      await new Promise<void>((resolve, reject) => waiting.add({ count, resolve, reject }));
    },
    kill: () => child.kill("SIGKILL"),
    exited: child.exited,
  };
}

function inspect(path: string): { readonly ids: Set<string>; readonly integrity: unknown } {
  const database = new Database(path, { readwrite: true });
  const ids = database.query<{ id: string }, []>("select id from join_codes").all();
  const integrity = database.query("pragma integrity_check").get();
  database.close();
  return { ids: new Set(ids.map(({ id }) => id)), integrity };
}

test(
  `what was acknowledged survives kill -9, ${KILLS} times`,
  async () => {
    await using directory = await temporaryDirectory();
    const life = fc.record({
      count: fc.integer({ min: 0, max: ACKNOWLEDGED_MAX }),
      lifeMs: fc.integer({ min: 0, max: LIFE_MS_MAX }),
    });
    const lives = fc.sample(life, { numRuns: KILLS, seed: SEED });
    const lanes = Array.from({ length: LANES }, (_, lane) => ({
      path: join(directory.path, `lane-${lane}.db`),
      lives: lives.filter((_life, at) => at % LANES === lane),
    }));
    const counts = await Promise.all(
      lanes.map(async ({ path, lives }) => {
        const acknowledged: string[] = [];
        for (const { count, lifeMs } of lives) {
          const child = startChild(path);
          await child.hasAcknowledged(count);
          // The kill comes at a moment the child does not choose: that is what is tested, and no sleep to wait for something.
          await Bun.sleep(lifeMs);
          child.kill();
          acknowledged.push(...(await child.acknowledged));
          await child.exited;
          const { ids, integrity } = inspect(path);
          expect(integrity).toEqual({ integrity_check: "ok" });
          expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
        }
        const store = await openStore(path);
        expect((await store.joinCodes.create({ deviceName: "after" }, 1)).ok).toBe(true);
        await store.close();
        return acknowledged.length;
      }),
    );
    // Far fewer would mean that the children were killed before they did anything.
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(KILLS);
  },
  TEST_TIMEOUT_MS,
);

test(
  "a killed first start leaves a database that the next one can use",
  async () => {
    await using directory = await temporaryDirectory();
    for (const lifeMs of fc.sample(fc.integer({ min: 20, max: 160 }), { numRuns: 10, seed: SEED })) {
      const path = join(directory.path, `first-${lifeMs}.db`);
      const child = startChild(path);
      child.ready.catch(() => undefined);
      await Bun.sleep(lifeMs);
      child.kill();
      await child.exited;
      const store = await openStore(path);
      expect((await store.accounts.list()).map(({ name }) => name)).toEqual(["owner"]);
      await store.close();
    }
  },
  TEST_TIMEOUT_MS,
);

test(
  "processes that open and write at the same time wait for each other",
  async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "shared.db");
    const children = ["a", "b", "c"].map((prefix) => startChild(path, "fifty", prefix));
    const acknowledged = (await Promise.all(children.map((child) => child.acknowledged))).flat();
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0]);
    const { ids, integrity } = inspect(path);
    expect(integrity).toEqual({ integrity_check: "ok" });
    expect(acknowledged).toHaveLength(150);
    expect(ids).toEqual(new Set(acknowledged));
  },
  TEST_TIMEOUT_MS,
);
