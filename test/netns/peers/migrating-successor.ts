/**
 * A newer version of the program, that fails late: started like `serve --take-over` it takes the data directory, brings the
 * database to a version of its own, and ends.
 */
import { Kysely } from "kysely";
import { dataPaths } from "../../../src/os/paths.ts";
import { TakeOver } from "../../../src/roles/relay/take-over.ts";
import { acquireLock } from "../../../src/servers/local/lock.ts";
import { bunSqliteDialect } from "../../../src/store/bun-sqlite-dialect.ts";
import { MIGRATIONS, migrate } from "../../../src/store/migrate.ts";
import { openDatabase } from "../../../src/store/store.ts";

const paths = dataPaths(process.argv[process.argv.indexOf("--data") + 1] ?? "");
await TakeOver.begin(paths.relaySocket);
if (acquireLock(`${paths.relaySocket}.lock`) === null) throw new Error("the data directory is not free");
const db = new Kysely<unknown>({ dialect: bunSqliteDialect(openDatabase(paths.database), (cause) => cause as Error) });
const next = {
  version: MIGRATIONS.length + 1,
  up: (on: Kysely<unknown>) => on.schema.createTable("later").addColumn("id", "text").execute(),
};
await migrate(db, [...MIGRATIONS, next], paths.database, Date.now());
process.exit(1);
