import { type Kysely, sql } from "kysely";

const MOST_PORTS = 65_536;

/** Leases are found by their ports, and by their end, without reading them all. A migration is history: it never changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The least power of two that is not below its number of ports.
  await db.schema
    .alterTable("leases")
    .addColumn("reach", "integer", (c) => c.notNull().defaultTo(0))
    .execute();
  for (let reach = 1; reach <= MOST_PORTS; reach *= 2) {
    await sql`update leases set reach = ${reach} where reach = 0 and last_port - first_port < ${reach}`.execute(db);
  }
  await db.schema.dropIndex("leases_ports").execute();
  await db.schema.createIndex("leases_reach").on("leases").columns(["protocol", "reach", "first_port"]).execute();
  await db.schema
    .createIndex("leases_expiry")
    .on("leases")
    .column("expires_ms")
    .where(sql.ref("expires_ms"), "is not", null)
    .execute();
}
