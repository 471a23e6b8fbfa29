import { type Kysely, sql } from "kysely";

/** The first schema. A migration is history: it names its tables itself and never changes. */
export async function up(db: Kysely<unknown>, nowMs: number): Promise<void> {
  await db.schema
    .createTable("accounts")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("name", "text", (c) => c.notNull().unique())
    .addColumn("role", "text", (c) => c.notNull())
    .addColumn("ports", "text")
    .addColumn("quota_forwards", "integer")
    .addColumn("quota_ports", "integer")
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .execute();
  // A relay begins with one account, so that whoever runs it for himself need not know the word.
  await sql`insert into accounts (id, name, role, created_ms) values ('owner', 'owner', 'admin', ${nowMs})`.execute(db);

  await db.schema
    .createTable("devices")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("account_id", "text", (c) => c.notNull().references("accounts.id"))
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("public_key", "text", (c) => c.notNull().unique())
    .addColumn("ports", "text")
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("last_seen_ms", "bigint")
    .addColumn("last_address", "text")
    .addColumn("revoked_ms", "bigint")
    .execute();
  // A revoked device gives its name back.
  await db.schema
    .createIndex("devices_name")
    .unique()
    .on("devices")
    .columns(["account_id", "name"])
    .where(sql.ref("revoked_ms"), "is", null)
    .execute();

  await db.schema
    .createTable("join_codes")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("account_id", "text", (c) => c.notNull().references("accounts.id"))
    .addColumn("device_name", "text", (c) => c.notNull())
    .addColumn("secret_hash", "text", (c) => c.notNull().unique())
    .addColumn("ports", "text")
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("expires_ms", "bigint", (c) => c.notNull())
    .addColumn("used_ms", "bigint")
    .addColumn("used_by", "text")
    .addColumn("revoked_ms", "bigint")
    .execute();

  await db.schema
    .createTable("forwards")
    .addColumn("device_id", "text", (c) => c.notNull().references("devices.id").onDelete("cascade"))
    .addColumn("spec_id", "text", (c) => c.notNull())
    .addColumn("spec", "text", (c) => c.notNull())
    .addColumn("enabled", "integer", (c) => c.notNull())
    .addColumn("origin", "text", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("updated_ms", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("forwards_key", ["device_id", "spec_id"])
    .execute();

  await db.schema
    .createTable("leases")
    .addColumn("device_id", "text", (c) => c.notNull().references("devices.id").onDelete("cascade"))
    .addColumn("forward_id", "text", (c) => c.notNull())
    .addColumn("account_id", "text", (c) => c.notNull().references("accounts.id"))
    .addColumn("group_name", "text")
    .addColumn("protocol", "text", (c) => c.notNull())
    .addColumn("first_port", "integer", (c) => c.notNull())
    .addColumn("last_port", "integer", (c) => c.notNull())
    .addColumn("bind", "text", (c) => c.notNull())
    .addColumn("expires_ms", "bigint")
    .addPrimaryKeyConstraint("leases_key", ["device_id", "forward_id", "protocol", "first_port", "bind"])
    .execute();
  await db.schema.createIndex("leases_ports").on("leases").columns(["protocol", "first_port"]).execute();

  await db.schema
    .createTable("audit")
    .addColumn("id", "integer", (c) => c.primaryKey().autoIncrement())
    .addColumn("at_ms", "bigint", (c) => c.notNull())
    .addColumn("actor", "text", (c) => c.notNull())
    .addColumn("action", "text", (c) => c.notNull())
    .addColumn("subject", "text", (c) => c.notNull())
    .addColumn("detail", "text", (c) => c.notNull())
    .execute();
  await db.schema.createIndex("audit_subject").on("audit").columns(["subject", "id"]).execute();
}
