import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { Kysely } from "kysely";
import { nowMs } from "../os/clock.ts";
import { fileError, PRIVATE_FILE_MODE } from "../os/files.ts";
import { type Accounts, accountsOn } from "./accounts.ts";
import { type Audit, auditOn } from "./audit.ts";
import { bunSqliteDialect } from "./bun-sqlite-dialect.ts";
import { type Devices, devicesOn } from "./devices.ts";
import { classifyFailure, StoreFailure } from "./failure.ts";
import { type Forwards, forwardsOn } from "./forwards.ts";
import { type Holdings, holdingsOn } from "./holdings.ts";
import { type Invites, invitesOn } from "./invites.ts";
import { type JoinCodes, joinCodesOn } from "./join-codes.ts";
import { type Leases, leasesOn } from "./leases.ts";
import { type Mappings, mappingsOn } from "./mappings.ts";
import { MIGRATIONS, migrate } from "./migrate.ts";
import { type Passkeys, passkeysOn } from "./passkeys.ts";
import type { Schema } from "./schema.ts";
import { type Sessions, sessionsOn } from "./sessions.ts";
import { type SshKeys, sshKeysOn } from "./ssh-keys.ts";
import { type Tokens, tokensOn } from "./tokens.ts";
import { type Traffic, trafficOn } from "./traffic.ts";
import { type Triggers, triggersOn } from "./triggers.ts";
import { type Users, usersOn } from "./users.ts";
import { type VpnPeers, vpnPeersOn } from "./vpn-peers.ts";

/**
 * What a relay remembers. When a method resolves, what it wrote is on the disk: it survives a kill -9 and a power cut.
 * Every method may reject with a StoreFailure; the store goes on working when its cause is gone.
 */
export interface Store {
  readonly accounts: Accounts;
  readonly devices: Devices;
  readonly joinCodes: JoinCodes;
  /** Keys by which SSH clients are devices. */
  readonly sshKeys: SshKeys;
  readonly forwards: Forwards;
  readonly leases: Leases;
  /** Forwards with their leases, many in one transaction. */
  readonly holdings: Holdings;
  /** What a gateway forwards by its kernel. */
  readonly mappings: Mappings;
  /** The port triggers that were added by hand. */
  readonly triggers: Triggers;
  /** What forwards carried. */
  readonly traffic: Traffic;
  readonly audit: Audit;
  readonly vpn: VpnPeers;
  /** People, and what they prove themselves with. */
  readonly users: Users;
  readonly sessions: Sessions;
  readonly passkeys: Passkeys;
  readonly tokens: Tokens;
  /** Links that are good once: the first administrator's, invitations, new passwords. */
  readonly invites: Invites;
  close(): Promise<void>;
}

/** How long a statement waits for another process's write. It waits in this thread, so it is short. */
const BUSY_TIMEOUT_MS = 5_000;

/** Opens the database, makes it (mode 0600) when it is not there, and brings it to this program's version. */
export async function openStore(path: string): Promise<Store> {
  return storeOn(openDatabase(path), path);
}

/** A store on a database that is open; it closes it when it is done, or cannot begin. */
export async function storeOn(database: Database, path: string): Promise<Store> {
  const untyped = new Kysely<unknown>({ dialect: bunSqliteDialect(database, (cause) => classifyFailure(cause, path)) });
  try {
    await migrate(untyped, MIGRATIONS, path, nowMs());
  } catch (cause) {
    await untyped.destroy();
    throw cause;
  }
  const db = untyped.withTables<Schema>();
  return {
    accounts: accountsOn(db),
    devices: devicesOn(db),
    joinCodes: joinCodesOn(db),
    sshKeys: sshKeysOn(db),
    forwards: forwardsOn(db),
    leases: leasesOn(db),
    holdings: holdingsOn(db),
    mappings: mappingsOn(db),
    triggers: triggersOn(db),
    traffic: trafficOn(db),
    audit: auditOn(db),
    vpn: vpnPeersOn(db),
    users: usersOn(db),
    sessions: sessionsOn(db),
    passkeys: passkeysOn(db),
    tokens: tokensOn(db),
    invites: invitesOn(db),
    close: () => db.destroy(),
  };
}

/** Rejects like the store's methods. `-wal` and `-shm` get the database's own mode from SQLite. */
export function openDatabase(path: string): Database {
  touchPrivate(path);
  let database: Database | null = null;
  try {
    database = new Database(path, { create: true, readwrite: true, strict: true });
    database.run(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
    database.run("pragma journal_mode = wal");
    // In WAL mode NORMAL would keep the file whole but lose the last commits in a power cut (sqlite.org/pragma.html).
    database.run("pragma synchronous = full");
    database.run("pragma foreign_keys = on");
    return database;
  } catch (cause) {
    database?.close();
    throw classifyFailure(cause, path);
  }
}

function touchPrivate(path: string): void {
  try {
    closeSync(openSync(path, "a", PRIVATE_FILE_MODE));
  } catch (cause) {
    const { kind, message } = fileError(cause, "create", path);
    throw new StoreFailure(kind === "disk-full" ? "disk-full" : "cannot-open", message, { cause });
  }
}
