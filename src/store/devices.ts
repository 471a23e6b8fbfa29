import type { Selectable } from "kysely";
import { err, ok, type Result } from "../wire/result.ts";
import { appendAudit, OPERATOR } from "./audit.ts";
import type { Db, DevicesTable } from "./schema.ts";

/** An enrolled agent. Its key is who it is; the id and the name are how people call it. */
export interface Device {
  readonly id: string;
  readonly accountId: string;
  /** Unique among the account's devices that are not revoked. */
  readonly name: string;
  /** Its agent's: Ed25519, raw, 32 bytes. Empty = no agent is this device, only SSH clients. */
  readonly publicKey: Uint8Array;
  /** What it may open, as a port set; null = the account's whole pool. */
  readonly ports: string | null;
  readonly createdMs: number;
  readonly lastSeenMs: number | null;
  /** `address:port` it was last seen from. */
  readonly lastAddress: string | null;
  readonly revokedMs: number | null;
}

export interface DeviceLookupError {
  readonly kind: "unknown" | "ambiguous";
  /** One sentence that says what to do. */
  readonly message: string;
}

export interface Devices {
  /** The device that may connect with this key; null for an unknown and for a revoked one. */
  findByKey(publicKey: Uint8Array): Promise<Device | null>;
  /** By id, or by a name that only one account uses; not among the revoked. */
  find(nameOrId: string): Promise<Result<Device, DeviceLookupError>>;
  /** By account and name. Revoked ones, if asked for, too. */
  list(filter?: { readonly accountId?: string; readonly revoked?: boolean }): Promise<Device[]>;
  /** Notes where and when it was seen; false = it was revoked. Once a connection, not once a heartbeat: each call is an fsync. */
  touch(deviceId: string, address: string, nowMs: number): Promise<boolean>;
  /** Its key no longer opens anything, its name is free, its forwards and leases are gone. The row stays, for the audit log. */
  revoke(nameOrId: string, nowMs: number, actor?: string): Promise<Result<Device, DeviceLookupError>>;
}

export function devicesOn(db: Db): Devices {
  return {
    async findByKey(publicKey) {
      const row = await db
        .selectFrom("devices")
        .selectAll()
        .where("public_key", "=", keyText(publicKey))
        .where("revoked_ms", "is", null)
        .executeTakeFirst();
      return row === undefined ? null : toDevice(row);
    },
    find: (nameOrId) => findDevice(db, nameOrId),
    async list({ accountId, revoked = false } = {}) {
      const rows = await db
        .selectFrom("devices")
        .selectAll()
        .$if(accountId !== undefined, (query) => query.where("account_id", "=", accountId ?? ""))
        .$if(!revoked, (query) => query.where("revoked_ms", "is", null))
        .orderBy("account_id")
        .orderBy("name")
        .orderBy("created_ms")
        .execute();
      return rows.map(toDevice);
    },
    async touch(deviceId, address, nowMs) {
      const { numUpdatedRows } = await db
        .updateTable("devices")
        .set({ last_seen_ms: nowMs, last_address: address })
        .where("id", "=", deviceId)
        .where("revoked_ms", "is", null)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
    revoke: (nameOrId, nowMs, actor = OPERATOR) =>
      db.transaction().execute(async (trx) => {
        const found = await findDevice(trx, nameOrId);
        if (!found.ok) return found;
        const { id, name } = found.value;
        await trx.updateTable("devices").set({ revoked_ms: nowMs }).where("id", "=", id).execute();
        await forgetForwards(trx, id);
        await appendAudit(trx, { actor, action: "device.revoked", subject: `device:${id}`, detail: { name } }, nowMs);
        return ok({ ...found.value, revokedMs: nowMs });
      }),
  };
}

/** Drops a device's forwards and frees its ports. */
export async function forgetForwards(db: Db, deviceId: string): Promise<void> {
  await db.deleteFrom("leases").where("device_id", "=", deviceId).execute();
  await db.deleteFrom("forwards").where("device_id", "=", deviceId).execute();
}

/** Those that are there, and those that open codes for other names may bring. */
export async function devicesToBe(db: Db, accountId: string, deviceName: string, nowMs: number): Promise<number> {
  const there = await db
    .selectFrom("devices")
    .select("id")
    .where("account_id", "=", accountId)
    .where("revoked_ms", "is", null)
    .execute();
  const awaited = await db
    .selectFrom("join_codes")
    .select("id")
    .where("account_id", "=", accountId)
    .where("device_name", "!=", deviceName)
    .where("used_ms", "is", null)
    .where("revoked_ms", "is", null)
    .where("expires_ms", ">", nowMs)
    .execute();
  return there.length + awaited.length;
}

async function findDevice(db: Db, nameOrId: string): Promise<Result<Device, DeviceLookupError>> {
  const rows = await db
    .selectFrom("devices")
    .selectAll()
    .where((where) => where.or([where("id", "=", nameOrId), where("name", "=", nameOrId)]))
    .where("revoked_ms", "is", null)
    .execute();
  const byId = rows.find(({ id }) => id === nameOrId);
  if (byId !== undefined) return ok(toDevice(byId));
  const [row, ...others] = rows;
  const quoted = JSON.stringify(nameOrId);
  if (row === undefined)
    return err({ kind: "unknown", message: `There is no device ${quoted}: hatchway devices ls lists them.` });
  if (others.length === 0) return ok(toDevice(row));
  const message = `${rows.length} accounts have a device ${quoted}: give its id, which hatchway devices ls shows.`;
  return err({ kind: "ambiguous", message });
}

export function keyText(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString("hex");
}

export function toDevice(row: Selectable<DevicesTable>): Device {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    publicKey: new Uint8Array(Buffer.from(row.public_key, "hex")),
    ports: row.ports,
    createdMs: row.created_ms,
    lastSeenMs: row.last_seen_ms,
    lastAddress: row.last_address,
    revokedMs: row.revoked_ms,
  };
}
