import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Kysely, sql } from "kysely";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { temporaryStore } from "../../test/fixtures/store.ts";
import { bunSqliteDialect } from "./bun-sqlite-dialect.ts";
import { classifyFailure, StoreFailure } from "./failure.ts";
import { MIGRATIONS, type Migration, migrate } from "./migrate.ts";
import { openDatabase, openStore, storeOn } from "./store.ts";

const failureOf = async (promise: Promise<unknown>): Promise<StoreFailure> => {
  const cause = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (cause instanceof StoreFailure) return cause;
  throw new Error(`expected a StoreFailure, got ${String(cause)}`);
};
const kyselyOn = (database: Database) =>
  new Kysely<unknown>({ dialect: bunSqliteDialect(database, (cause) => classifyFailure(cause, "test.db")) });

describe("opening", () => {
  test("makes a database of mode 0600, in WAL mode, fully synchronous, with one account", async () => {
    await using fixture = await temporaryStore();
    expect((await stat(fixture.path)).mode & 0o777).toBe(0o600);
    expect((await stat(`${fixture.path}-wal`)).mode & 0o777).toBe(0o600);
    expect((await fixture.store.accounts.list()).map(({ name, role }) => [name, role])).toEqual([["owner", "admin"]]);

    const database = openDatabase(fixture.path);
    expect(database.query("pragma journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(database.query("pragma synchronous").get()).toEqual({ synchronous: 2 });
    expect(database.query("pragma foreign_keys").get()).toEqual({ foreign_keys: 1 });
    database.close();
  });

  test("again finds what was written", async () => {
    await using fixture = await temporaryStore();
    await fixture.store.accounts.create({ name: "team", role: "user", ports: "8000-8010" }, 5);
    const second = await openStore(fixture.path);
    expect((await second.accounts.find("team"))?.ports).toBe("8000-8010");
    await second.close();
  });

  test.each<[string, (path: string) => Promise<unknown>, string, string]>([
    ["other bytes", (path) => writeFile(path, "not a database ".repeat(500)), "damaged", "backup"],
    ["a directory", (path) => mkdir(path), "cannot-open", "Cannot create"],
    [
      "a database of a newer program",
      async (path) => {
        const database = openDatabase(path);
        database.run("create table schema_versions (version integer primary key, applied_ms bigint)");
        database.run("insert into schema_versions values (99, 0)");
        database.close();
      },
      "newer",
      "database version 99",
    ],
  ])("%s in its place is refused with one sentence", async (_what, make, kind, words) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "hatchway.db");
    await make(path);
    const failure = await failureOf(openStore(path));
    expect<string>(failure.kind).toBe(kind);
    expect(failure.message).toContain(words);
    expect(failure.message).toContain(path);
  });

  test("a directory that is not there is named", async () => {
    await using directory = await temporaryDirectory();
    const failure = await failureOf(openStore(join(directory.path, "no", "hatchway.db")));
    expect(failure.kind).toBe("cannot-open");
  });

  test("a page that was overwritten is found", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "hatchway.db");
    const store = await openStore(path);
    await store.close();
    const bytes = await Bun.file(path).bytes();
    bytes.fill(0xa5, 4096);
    await writeFile(path, bytes);
    expect((await failureOf(openStore(path).then((opened) => opened.accounts.list()))).kind).toBe("damaged");
  });
});

describe("migrations", () => {
  const step = (version: number, fails = false): Migration => ({
    version,
    async up(db) {
      await sql.raw(`create table step_${version} (a)`).execute(db);
      if (fails) throw new Error("half way");
    },
  });
  const tables = (database: Database) =>
    database
      .query<{ name: string }, []>("select name from sqlite_master where name like 'step%' order by name")
      .all()
      .map(({ name }) => name);

  test("are numbered from 1 without gaps", () => {
    expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, at) => at + 1));
  });

  test("are applied once each, in order", async () => {
    const database = new Database(":memory:");
    const db = kyselyOn(database);
    await migrate(db, [step(1)], "test.db", 0);
    await migrate(db, [step(1), step(2), step(3)], "test.db", 0);
    await migrate(db, [step(1), step(2), step(3)], "test.db", 0);
    expect(tables(database)).toEqual(["step_1", "step_2", "step_3"]);
  });

  test("one that fails leaves the version before it, whole", async () => {
    const database = new Database(":memory:");
    const db = kyselyOn(database);
    await expect(migrate(db, [step(1), step(2, true)], "test.db", 0)).rejects.toThrow("half way");
    expect(tables(database)).toEqual(["step_1"]);
    await migrate(db, [step(1), step(2)], "test.db", 0);
    expect(tables(database)).toEqual(["step_1", "step_2"]);
  });
});

describe("when storage fails", () => {
  test("a full disk is told, loses nothing acknowledged, and the store heals without being opened again", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "hatchway.db");
    const database = openDatabase(path);
    const store = await storeOn(database, path);
    await store.accounts.create({ name: "before", role: "user" }, 1);
    const pages = database.query<{ page_count: number }, []>("pragma page_count").get()?.page_count ?? 0;
    database.run(`pragma max_page_count = ${pages}`);

    const failure = await failureOf(
      store.accounts.create({ name: "large", role: "user", ports: "1,".repeat(50_000) }, 2),
    );
    expect(failure.kind).toBe("disk-full");
    expect(failure.message).toMatch(/is full: make room/);
    expect((await store.accounts.list()).map(({ name }) => name)).toEqual(["before", "owner"]);

    database.run("pragma max_page_count = 1000000");
    expect((await store.accounts.create({ name: "after", role: "user", ports: "1,".repeat(50_000) }, 3)).ok).toBe(true);
    await store.close();
  });

  test("a database that may only be read is told", async () => {
    await using fixture = await temporaryStore();
    const database = new Database(fixture.path, { readonly: true });
    const db = kyselyOn(database);
    const failure = await failureOf(sql`delete from audit`.execute(db));
    expect(failure.kind).toBe("read-only");
    await db.destroy();
  });

  test("a statement that makes no sense is our fault, and is told as such", async () => {
    const db = kyselyOn(new Database(":memory:"));
    const failure = await failureOf(sql`select * from absent`.execute(db));
    expect(failure.kind).toBe("unexpected");
    expect(failure.message).toContain("no such table");
  });

  test("a broken constraint and what is no failure of SQLite pass as they are", async () => {
    const db = kyselyOn(new Database(":memory:"));
    await sql`create table t (a integer unique)`.execute(db);
    await sql`insert into t values (1)`.execute(db);
    await expect(sql`insert into t values (1)`.execute(db)).rejects.toThrow(/UNIQUE/);
    const other = new RangeError("other");
    expect(classifyFailure(other, "test.db")).toBe(other);
  });

  test("a file that another program locks is told, and works again afterwards", async () => {
    await using fixture = await temporaryStore();
    const impatient = openDatabase(fixture.path);
    const store = await storeOn(impatient, fixture.path);
    impatient.run("pragma busy_timeout = 0");
    const other = openDatabase(fixture.path);
    other.run("begin immediate");
    expect((await failureOf(store.accounts.create({ name: "a", role: "user" }, 1))).kind).toBe("locked");
    other.run("rollback");
    other.close();
    expect((await store.accounts.create({ name: "a", role: "user" }, 1)).ok).toBe(true);
    await store.close();
  });
});

test("transactions take turns: none sees another's half", async () => {
  await using fixture = await temporaryStore();
  const made = await Promise.all(
    Array.from({ length: 20 }, () => fixture.store.accounts.create({ name: "one", role: "user" }, 1)),
  );
  expect(made.filter((result) => result.ok)).toHaveLength(1);
});

test("rows can be streamed, and a failure on the way is classified too", async () => {
  const db = kyselyOn(new Database(":memory:")).withTables<{ t: { a: number } }>();
  await expect(db.selectFrom("t").selectAll().stream().next()).rejects.toBeInstanceOf(StoreFailure);
  await sql`create table t (a integer)`.execute(db);
  await sql`insert into t values (1), (2), (3)`.execute(db);
  const seen: number[] = [];
  for await (const { a } of db.selectFrom("t").selectAll().orderBy("a").stream()) seen.push(a);
  expect(seen).toEqual([1, 2, 3]);
});
