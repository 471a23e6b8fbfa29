import { type Kysely, sql } from "kysely";
import { StoreFailure } from "./failure.ts";
import * as first from "./migrations/0001-first.ts";
import * as mappings from "./migrations/0002-mappings.ts";
import * as vpnPeers from "./migrations/0003-vpn-peers.ts";
import * as assigned from "./migrations/0004-assigned.ts";
import * as people from "./migrations/0005-people.ts";
import * as traffic from "./migrations/0006-traffic.ts";
import * as quotas from "./migrations/0007-quotas.ts";
import * as peerAccounts from "./migrations/0008-peer-accounts.ts";
import * as leaseReach from "./migrations/0009-lease-reach.ts";
import * as sshKeys from "./migrations/0010-ssh-keys.ts";

export interface Migration {
  /** 1, 2, 3 … without gaps. */
  readonly version: number;
  up(db: Kysely<unknown>, nowMs: number): Promise<void>;
}

export const MIGRATIONS: readonly Migration[] = [
  { version: 1, up: first.up },
  { version: 2, up: mappings.up },
  { version: 3, up: vpnPeers.up },
  { version: 4, up: assigned.up },
  { version: 5, up: people.up },
  { version: 6, up: traffic.up },
  { version: 7, up: quotas.up },
  { version: 8, up: peerAccounts.up },
  { version: 9, up: leaseReach.up },
  { version: 10, up: sshKeys.up },
];

/**
 * Brings a database to the newest version, each step in a transaction of its own: a crash leaves a whole version.
 * Two processes may do it at once; each step is taken by one of them. A database of a newer program is left alone
 * (StoreFailure `newer`).
 */
export async function migrate(
  db: Kysely<unknown>,
  migrations: readonly Migration[],
  path: string,
  nowMs: number,
): Promise<void> {
  await sql`create table if not exists schema_versions (version integer not null primary key, applied_ms bigint not null)`.execute(
    db,
  );
  const newest = migrations.at(-1)?.version ?? 0;
  const present = await versionOf(db);
  if (present > newest) {
    const message = `${path} was written by a newer Hatchway (database version ${present}; this program knows ${newest}): update the program.`;
    throw new StoreFailure("newer", message);
  }
  for (const { version, up } of migrations) {
    if (version <= present) continue;
    await db.transaction().execute(async (trx) => {
      // Another process may have taken this step while this one waited for the lock.
      if (version <= (await versionOf(trx))) return;
      await up(trx, nowMs);
      await sql`insert into schema_versions (version, applied_ms) values (${version}, ${nowMs})`.execute(trx);
    });
  }
}

async function versionOf(db: Kysely<unknown>): Promise<number> {
  const { rows } = await sql<{ version: number }>`
    select coalesce(max(version), 0) as version from schema_versions`.execute(db);
  return rows[0]?.version ?? 0;
}
