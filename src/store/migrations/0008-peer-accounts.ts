import type { Kysely } from "kysely";

/** Whose a VPN peer is; null = the first account's. A migration is history: it names its tables itself and never changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable("vpn_peers")
    .addColumn("account_id", "text", (c) => c.references("accounts.id"))
    .execute();
}
