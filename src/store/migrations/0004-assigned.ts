import type { Kysely } from "kysely";

/** Forwards that people at the relay assign to a device. A migration is history: it names its tables itself and never changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The host that the device dials; null = the forward is the device's own, and the relay does not know it.
  await db.schema.alterTable("forwards").addColumn("target", "text").execute();
}
