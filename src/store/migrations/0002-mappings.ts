import type { Kysely } from "kysely";

/** What a gateway forwards by its kernel, and facts of its own that outlast a restart. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("mappings")
    .addColumn("device", "text", (c) => c.notNull())
    .addColumn("spec_id", "text", (c) => c.notNull())
    .addColumn("account_id", "text", (c) => c.notNull().references("accounts.id"))
    .addColumn("spec", "text", (c) => c.notNull())
    .addColumn("expires_ms", "bigint")
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("updated_ms", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("mappings_key", ["device", "spec_id"])
    .execute();
  await db.schema
    .createTable("triggers")
    .addColumn("name", "text", (c) => c.primaryKey().notNull())
    .addColumn("rule", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("gateway_facts")
    .addColumn("name", "text", (c) => c.primaryKey().notNull())
    .addColumn("value", "text", (c) => c.notNull())
    .execute();
}
