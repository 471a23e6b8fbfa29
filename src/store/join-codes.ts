import { createHash, randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import { deviceIdOf } from "../os/device-key.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { FIRST_ACCOUNT_ID, findAccount } from "./accounts.ts";
import { appendAudit, OPERATOR } from "./audit.ts";
import { type Device, devicesToBe, forgetForwards, keyText, toDevice } from "./devices.ts";
import type { Db, JoinCodesTable } from "./schema.ts";

export interface NewJoinCode {
  readonly deviceName: string;
  /** Name or id; absent = the first account. */
  readonly account?: string;
  /** What the device may open, as a port set; absent = the account's whole pool. */
  readonly ports?: string;
  readonly lifetimeSec?: number;
  readonly actor?: string;
}

export interface MadeJoinCode {
  readonly id: string;
  /** Shown once: only its hash is kept. */
  readonly secret: Uint8Array;
  readonly expiresMs: number;
}

export interface JoinCodeRefusal {
  readonly kind: "name-taken" | "unknown-account" | "quota";
  /** One sentence that says what to do. */
  readonly message: string;
}

/** A code that can still be redeemed. */
export interface OpenJoinCode {
  readonly id: string;
  readonly accountId: string;
  readonly deviceName: string;
  readonly ports: string | null;
  readonly createdMs: number;
  readonly expiresMs: number;
}

export interface JoinCodes {
  /**
   * Refuses a name that a device of the account has, and a device more than the account may have. An open code for the same name ends: the newest counts, so a
   * redeemed code always finds its name free.
   */
  create(request: NewJoinCode, nowMs: number): Promise<Result<MadeJoinCode, JoinCodeRefusal>>;
  /**
   * Enrols the device that holds `publicKey`; the caller has verified that it does. Good once: a wrong, a used, an
   * expired and a revoked code get the same answer from the same statements. The one exception is the device that used
   * the code: when its answer was lost on the way it may ask again, until the code expires, and hears the same.
   * A key that is enrolled already, or was revoked, moves to the code's account, name and ports, and starts without forwards.
   * `names`: what the caller proved that it may be called; a code for another name is not good, and not used up. Null = any.
   */
  redeem(
    secret: Uint8Array,
    publicKey: Uint8Array,
    nowMs: number,
    names?: readonly string[] | null,
  ): Promise<Result<Device, "invalid">>;
  list(nowMs: number): Promise<OpenJoinCode[]>;
  /** False when there is no such open code. */
  revoke(id: string, nowMs: number, actor?: string): Promise<boolean>;
}

/** 128 bits: cannot be guessed, online or offline. */
const SECRET_BYTES = 16;
const ID_BYTES = 8;
const LIFETIME_SEC_DEFAULT = 86_400;

export function joinCodesOn(db: Db): JoinCodes {
  return {
    create: (request, nowMs) => db.transaction().execute((trx) => createCode(trx, request, nowMs)),
    redeem: (secret, publicKey, nowMs, names = null) =>
      db.transaction().execute((trx) => redeemCode(trx, secret, publicKey, nowMs, names)),
    async list(nowMs) {
      const rows = await db
        .selectFrom("join_codes")
        .selectAll()
        .where("used_ms", "is", null)
        .where("revoked_ms", "is", null)
        .where("expires_ms", ">", nowMs)
        .orderBy("created_ms")
        .orderBy("id")
        .execute();
      return rows.map((row) => ({
        id: row.id,
        accountId: row.account_id,
        deviceName: row.device_name,
        ports: row.ports,
        createdMs: row.created_ms,
        expiresMs: row.expires_ms,
      }));
    },
    revoke: (id, nowMs, actor = OPERATOR) =>
      db.transaction().execute(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("join_codes")
          .set({ revoked_ms: nowMs })
          .where("id", "=", id)
          .where("used_ms", "is", null)
          .where("revoked_ms", "is", null)
          .executeTakeFirstOrThrow();
        if (numUpdatedRows === 0n) return false;
        const event = { actor, action: "join-code.revoked", subject: `join-code:${id}`, detail: {} };
        await appendAudit(trx, event, nowMs);
        return true;
      }),
  };
}

async function createCode(
  trx: Db,
  request: NewJoinCode,
  nowMs: number,
): Promise<Result<MadeJoinCode, JoinCodeRefusal>> {
  const { deviceName, ports = null, lifetimeSec = LIFETIME_SEC_DEFAULT, actor = OPERATOR } = request;
  const account = await findAccount(trx, request.account ?? FIRST_ACCOUNT_ID);
  if (account === null) {
    const message = `There is no account ${JSON.stringify(request.account)}.`;
    return err({ kind: "unknown-account", message });
  }
  if (await nameIsTaken(trx, account.id, deviceName)) {
    const message = `There is a device ${JSON.stringify(deviceName)} already: choose another name, or revoke it first with hatchway devices revoke.`;
    return err({ kind: "name-taken", message });
  }
  const { quotaDevices } = account;
  if (quotaDevices !== null && (await devicesToBe(trx, account.id, deviceName, nowMs)) >= quotaDevices) {
    const devices = quotaDevices === 1 ? "1 device" : `${quotaDevices} devices`;
    const message = `The account ${account.name} may have ${devices}, and has or awaits as many: remove one first, or ask an administrator for more.`;
    return err({ kind: "quota", message });
  }
  await endJoinCodes(trx, account.id, deviceName, nowMs);

  const secret = new Uint8Array(randomBytes(SECRET_BYTES));
  const row = {
    id: randomBytes(ID_BYTES).toString("hex"),
    account_id: account.id,
    device_name: deviceName,
    secret_hash: hashOf(secret),
    ports,
    created_ms: nowMs,
    expires_ms: nowMs + lifetimeSec * 1000,
    used_ms: null,
    used_by: null,
    revoked_ms: null,
  };
  await trx.insertInto("join_codes").values(row).execute();
  const detail = { deviceName, account: account.name, ports, expiresMs: row.expires_ms };
  await appendAudit(trx, { actor, action: "join-code.created", subject: `join-code:${row.id}`, detail }, nowMs);
  return ok({ id: row.id, secret, expiresMs: row.expires_ms });
}

/** Those that are open for this name. */
export async function endJoinCodes(trx: Db, accountId: string, deviceName: string, nowMs: number): Promise<void> {
  await trx
    .updateTable("join_codes")
    .set({ revoked_ms: nowMs })
    .where("account_id", "=", accountId)
    .where("device_name", "=", deviceName)
    .where("used_ms", "is", null)
    .where("revoked_ms", "is", null)
    .execute();
}

async function redeemCode(
  trx: Db,
  secret: Uint8Array,
  publicKey: Uint8Array,
  nowMs: number,
  names: readonly string[] | null,
): Promise<Result<Device, "invalid">> {
  const secretHash = hashOf(secret);
  const deviceId = deviceIdOf(publicKey);
  // One statement finds and takes the code, so a code that is not good differs from none in nothing that can be timed.
  const code = await trx
    .updateTable("join_codes")
    .set({ used_ms: nowMs, used_by: deviceId })
    .where("secret_hash", "=", secretHash)
    .where("revoked_ms", "is", null)
    .where("expires_ms", ">", nowMs)
    .where("used_ms", "is", null)
    .$if(names !== null, (query) => query.where("device_name", "in", names ?? []))
    .returningAll()
    .executeTakeFirst();
  if (code !== undefined) return ok(await enrol(trx, code, deviceId, publicKey, nowMs));

  const again = await trx
    .selectFrom("join_codes")
    .innerJoin("devices", "devices.id", "join_codes.used_by")
    .selectAll("devices")
    .where("join_codes.secret_hash", "=", secretHash)
    .where("join_codes.revoked_ms", "is", null)
    .where("join_codes.expires_ms", ">", nowMs)
    .where("devices.public_key", "=", keyText(publicKey))
    .where("devices.revoked_ms", "is", null)
    .executeTakeFirst();
  return again === undefined ? err("invalid") : ok(toDevice(again));
}

async function enrol(
  trx: Db,
  code: Selectable<JoinCodesTable>,
  deviceId: string,
  publicKey: Uint8Array,
  nowMs: number,
): Promise<Device> {
  const granted = { account_id: code.account_id, name: code.device_name, ports: code.ports };
  await forgetForwards(trx, deviceId);
  const row = await trx
    .insertInto("devices")
    .values({
      ...granted,
      id: deviceId,
      public_key: keyText(publicKey),
      created_ms: nowMs,
      last_seen_ms: null,
      last_address: null,
      revoked_ms: null,
    })
    // The same key again. Another key of the same 64-bit id breaks the primary key: nothing is enrolled, the code stays good.
    .onConflict((conflict) => conflict.column("public_key").doUpdateSet({ ...granted, revoked_ms: null }))
    .returningAll()
    .executeTakeFirstOrThrow();
  const event = {
    actor: `device:${deviceId}`,
    action: "device.enrolled",
    subject: `device:${deviceId}`,
    detail: { name: row.name, joinCode: code.id },
  };
  await appendAudit(trx, event, nowMs);
  return toDevice(row);
}

async function nameIsTaken(db: Db, accountId: string, name: string): Promise<boolean> {
  const row = await db
    .selectFrom("devices")
    .select("id")
    .where("account_id", "=", accountId)
    .where("name", "=", name)
    .where("revoked_ms", "is", null)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * SHA-256 without salt or stretching is right here: those slow down guessing at passwords people choose, and a secret
 * of 128 random bits cannot be guessed at any speed. Whoever reads the database cannot redeem what is in it.
 */
function hashOf(secret: Uint8Array): string {
  return createHash("sha256").update(secret).digest("hex");
}
