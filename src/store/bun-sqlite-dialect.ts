import type { Database, SQLQueryBindings } from "bun:sqlite";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";

/**
 * Kysely on bun:sqlite. `classify` turns what SQLite throws into what the store throws.
 * Our own because the published dialects (kysely-bun-sqlite, kysely-bun-worker) begin deferred transactions, which fail
 * with SQLITE_BUSY when a second writer comes between their read and their write, and hide SQLite's error codes.
 */
export function bunSqliteDialect(database: Database, classify: (cause: unknown) => unknown): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => bunSqliteDriver(database, classify),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function bunSqliteDriver(database: Database, classify: (cause: unknown) => unknown): Driver {
  const connection = bunSqliteConnection(database, classify);
  const lock = fairLock();
  const run = async (sql: string) => {
    await connection.executeQuery(CompiledQuery.raw(sql));
  };
  return {
    init: async () => {},
    // There is one connection: whoever runs a transaction holds it, and the others wait for their turn.
    acquireConnection: async () => {
      await lock.acquire();
      return connection;
    },
    releaseConnection: async () => lock.release(),
    // Immediate: the write lock is taken, and waited for, before anything is read.
    beginTransaction: () => run("begin immediate"),
    commitTransaction: () => run("commit"),
    rollbackTransaction: async () => {
      // SQLite has rolled back by itself after some failures (a full disk): lang_transaction.html section 3.1.
      if (database.inTransaction) await run("rollback");
    },
    destroy: async () => database.close(),
  };
}

function bunSqliteConnection(database: Database, classify: (cause: unknown) => unknown): DatabaseConnection {
  return {
    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      const bindings = parameters as SQLQueryBindings[];
      try {
        const statement = database.query<Row, SQLQueryBindings[]>(sql);
        if (statement.columnNames.length > 0) return { rows: statement.all(...bindings) };
        const { changes, lastInsertRowid } = statement.run(...bindings);
        return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
      } catch (cause) {
        throw classify(cause);
      }
    },
    async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
      try {
        const statement = database.prepare<Row, SQLQueryBindings[]>(sql);
        for (const row of statement.iterate(...(parameters as SQLQueryBindings[]))) yield { rows: [row] };
      } catch (cause) {
        throw classify(cause);
      }
    },
  };
}

/** A mutex that serves in the order of asking. */
function fairLock(): { acquire(): Promise<void>; release(): void } {
  const waiting: (() => void)[] = [];
  let held = false;
  return {
    acquire: () => {
      if (!held) {
        held = true;
        return Promise.resolve();
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      return promise;
    },
    release: () => {
      const next = waiting.shift();
      if (next === undefined) held = false;
      else next();
    },
  };
}
