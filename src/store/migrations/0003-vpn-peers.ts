import type { Kysely } from "kysely";

/** The VPN server's settings and its peers. A migration is history: it names its tables itself and never changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("vpn_settings")
    // One server: the only row is row 1.
    .addColumn("id", "integer", (c) => c.primaryKey().notNull())
    .addColumn("network4", "text", (c) => c.notNull())
    .addColumn("network6", "text", (c) => c.notNull())
    .addColumn("listen_port", "integer", (c) => c.notNull())
    .addColumn("endpoint_host", "text", (c) => c.notNull())
    .addColumn("dns", "text", (c) => c.notNull())
    .addColumn("mtu", "integer", (c) => c.notNull())
    .execute();

  await db.schema
    .createTable("vpn_peers")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("name", "text", (c) => c.notNull())
    // In lower case: names that differ in case only are the same.
    .addColumn("name_key", "text", (c) => c.notNull().unique())
    .addColumn("public_key", "text", (c) => c.notNull().unique())
    .addColumn("preshared_key", "text")
    .addColumn("v4", "text", (c) => c.notNull().unique())
    .addColumn("v6", "text", (c) => c.notNull().unique())
    .addColumn("mode", "text", (c) => c.notNull())
    .addColumn("ports", "text")
    .addColumn("max_ports", "integer")
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("expires_ms", "bigint")
    .addColumn("disabled", "integer", (c) => c.notNull())
    .addColumn("last_address", "text")
    .addColumn("last_port", "integer")
    .addColumn("last_handshake_ms", "bigint")
    .execute();
}
