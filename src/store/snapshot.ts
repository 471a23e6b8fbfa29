import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { PRIVATE_FILE_MODE } from "../os/files.ts";
import type { AuditEvent } from "./audit.ts";
import { classifyFailure, StoreFailure } from "./failure.ts";
import { MIGRATIONS } from "./migrate.ts";
import { openStore } from "./store.ts";

/** What is in a database, in figures. */
export interface DatabaseFacts {
  readonly databaseVersion: number;
  readonly counts: {
    readonly accounts: number;
    readonly people: number;
    readonly devices: number;
    readonly forwards: number;
  };
}

/**
 * A consistent copy of a database that others may be writing to, in one file (mode 0600) without a log beside it. It is made
 * in this thread, which does nothing else meanwhile: some 170 MB a second. Throws StoreFailure.
 */
export function copyDatabase(path: string, target: string): DatabaseFacts {
  return onDatabase(path, (database) => {
    // SQLite takes a file that is there when it is empty, and leaves its mode.
    closeSync(openSync(target, "ax", PRIVATE_FILE_MODE));
    database.query("vacuum into ?").run(target);
    return factsOf(database);
  });
}

/** Whether it is a whole database of ours, and not a newer program's. Throws StoreFailure. */
export function examineDatabase(path: string): DatabaseFacts {
  return onDatabase(path, (database) => {
    const [first] = database.query<{ integrity_check: string }, []>("pragma integrity_check(1)").all();
    if (first?.integrity_check !== "ok") throw damaged(path);
    if (database.query("pragma foreign_key_check").all().length > 0) throw damaged(path);
    const facts = factsOf(database);
    const newest = MIGRATIONS.at(-1)?.version ?? 0;
    if (facts.databaseVersion > newest) {
      const message = `It was made by a newer Hatchway (database version ${facts.databaseVersion}; this program knows ${newest}): update the program first.`;
      throw new StoreFailure("newer", message);
    }
    if (facts.databaseVersion === 0) throw damaged(path);
    return facts;
  });
}

/** Credentials that must not come back by a restore: they may have been ended, or used up, since the copy was made. */
const NOT_RESTORED = ["sessions", "invites", "join_codes"];

/**
 * Makes a copy ready to be a server's: brought to this program's version, without sessions, invitations and join codes, with
 * the restore in its audit log, and one file. Throws StoreFailure.
 */
export async function prepareRestored(path: string, event: AuditEvent, nowMs: number): Promise<void> {
  const store = await openStore(path);
  try {
    await store.audit.append(event, nowMs);
  } finally {
    await store.close();
  }
  onDatabase(path, (database) => {
    database.run("pragma synchronous = full");
    database.transaction(() => {
      for (const table of NOT_RESTORED) database.run(`delete from ${table}`);
    })();
    // Its log is written into it, and goes.
    database.run("pragma journal_mode = delete");
  });
}

function factsOf(database: Database): DatabaseFacts {
  const tables = new Set(
    database
      .query<{ name: string }, []>("select name from sqlite_schema where type = 'table'")
      .all()
      .map(({ name }) => name),
  );
  const count = (table: string, where = ""): number =>
    tables.has(table)
      ? (database.query<{ n: number }, []>(`select count(*) as n from ${table} ${where}`).get()?.n ?? 0)
      : 0;
  const version = tables.has("schema_versions")
    ? database.query<{ v: number | null }, []>("select max(version) as v from schema_versions").get()?.v
    : 0;
  return {
    databaseVersion: version ?? 0,
    counts: {
      accounts: count("accounts"),
      people: count("users"),
      devices: count("devices", "where revoked_ms is null"),
      forwards: count("forwards"),
    },
  };
}

function onDatabase<T>(path: string, use: (database: Database) => T): T {
  let database: Database | null = null;
  try {
    // Not read-only: a copy in WAL mode has no `-shm` yet, and a reader cannot make one.
    database = new Database(path, { readwrite: true, create: false, strict: true });
    database.run(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return use(database);
  } catch (cause) {
    throw classifyFailure(cause, path);
  } finally {
    database?.close();
  }
}

const BUSY_TIMEOUT_MS = 5_000;

function damaged(path: string): StoreFailure {
  return new StoreFailure("damaged", `${path} is damaged or not a Hatchway database: take another copy of the backup.`);
}
