import type { Kysely } from "kysely";

/** Public keys that SSH clients prove themselves with, each a device's. A migration is history: it never changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("ssh_keys")
    .addColumn("fingerprint", "text", (c) => c.primaryKey().notNull())
    .addColumn("device_id", "text", (c) => c.notNull().references("devices.id").onDelete("cascade"))
    .addColumn("type", "text", (c) => c.notNull())
    .addColumn("blob", "text", (c) => c.notNull())
    .addColumn("comment", "text", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("last_used_ms", "bigint")
    .execute();
  await db.schema.createIndex("ssh_keys_device").on("ssh_keys").column("device_id").execute();
}
