import type { Kysely } from "kysely";

/** How many devices an account may have, and its bandwidth. A migration is history: it names its columns itself and never changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("accounts").addColumn("quota_devices", "integer").execute();
  await db.schema.alterTable("accounts").addColumn("quota_bandwidth", "bigint").execute();
}
