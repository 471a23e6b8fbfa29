import type { Kysely } from "kysely";

/** What forwards carried, by hour and by day. A migration is history: it names its tables itself and never changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("traffic")
    // `hour` or `day`: how long a slot is.
    .addColumn("span", "text", (c) => c.notNull())
    .addColumn("slot_ms", "bigint", (c) => c.notNull())
    .addColumn("device_id", "text", (c) => c.notNull())
    .addColumn("spec_id", "text", (c) => c.notNull())
    .addColumn("account_id", "text", (c) => c.notNull())
    // As they were called then: the forward may be gone.
    .addColumn("device_name", "text", (c) => c.notNull())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("bytes_in", "bigint", (c) => c.notNull())
    .addColumn("bytes_out", "bigint", (c) => c.notNull())
    .addColumn("visitors", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("traffic_key", ["span", "slot_ms", "device_id", "spec_id"])
    .execute();
}
