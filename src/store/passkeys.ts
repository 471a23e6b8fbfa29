import type { Selectable } from "kysely";
import { err, ok, type Result } from "../wire/result.ts";
import { appendAudit } from "./audit.ts";
import type { Db, PasskeysTable } from "./schema.ts";

export interface StoredPasskey {
  /** The credential's id, in base64url. */
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  /** A COSE key. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** Signatures so far, by the authenticator's own count; many always say 0. */
  readonly counter: number;
  readonly transports: readonly string[];
  readonly createdMs: number;
  readonly lastUsedMs: number | null;
}

export type NewPasskey = Omit<StoredPasskey, "createdMs" | "lastUsedMs">;

export interface Passkeys {
  find(id: string): Promise<StoredPasskey | null>;
  /** Oldest first. */
  list(userId: string): Promise<StoredPasskey[]>;
  /** known: that credential is somebody's already. full: the person has as many as one may have. */
  add(passkey: NewPasskey, nowMs: number, actor: string): Promise<Result<StoredPasskey, "known" | "full">>;
  /** False: the counter went on since it was read, by another sign-in with the same signature. */
  used(id: string, before: number, counter: number, nowMs: number): Promise<boolean>;
  /** False: the person has none of this id. */
  remove(userId: string, id: string, nowMs: number, actor: string): Promise<boolean>;
}

export const MAX_PASSKEYS = 20;
const LIST_SEPARATOR = " ";

export function passkeysOn(db: Db): Passkeys {
  return {
    async find(id) {
      const row = await db.selectFrom("passkeys").selectAll().where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : toPasskey(row);
    },
    list: (userId) => listPasskeys(db, userId),
    add: (passkey, nowMs, actor) =>
      db.transaction().execute(async (trx) => {
        const known = await trx.selectFrom("passkeys").select("id").where("id", "=", passkey.id).executeTakeFirst();
        if (known !== undefined) return err("known" as const);
        if ((await listPasskeys(trx, passkey.userId)).length >= MAX_PASSKEYS) return err("full" as const);
        const row = {
          id: passkey.id,
          user_id: passkey.userId,
          name: passkey.name,
          public_key: Buffer.from(passkey.publicKey).toString("hex"),
          counter: passkey.counter,
          transports: passkey.transports.join(LIST_SEPARATOR),
          created_ms: nowMs,
          last_used_ms: null,
        };
        await trx.insertInto("passkeys").values(row).execute();
        const { userId, name } = passkey;
        await appendAudit(trx, { actor, action: "passkey.added", subject: `user:${userId}`, detail: { name } }, nowMs);
        return ok(toPasskey(row));
      }),
    async used(id, before, counter, nowMs) {
      const { numUpdatedRows } = await db
        .updateTable("passkeys")
        .set({ counter, last_used_ms: nowMs })
        .where("id", "=", id)
        .where("counter", "=", before)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
    remove: (userId, id, nowMs, actor) =>
      db.transaction().execute(async (trx) => {
        const row = await trx
          .deleteFrom("passkeys")
          .where("id", "=", id)
          .where("user_id", "=", userId)
          .returning("name")
          .executeTakeFirst();
        if (row === undefined) return false;
        const event = { actor, action: "passkey.removed", subject: `user:${userId}`, detail: { name: row.name } };
        await appendAudit(trx, event, nowMs);
        return true;
      }),
  };
}

async function listPasskeys(db: Db, userId: string): Promise<StoredPasskey[]> {
  const rows = await db
    .selectFrom("passkeys")
    .selectAll()
    .where("user_id", "=", userId)
    .orderBy("created_ms")
    .orderBy("id")
    .execute();
  return rows.map(toPasskey);
}

function toPasskey(row: Selectable<PasskeysTable>): StoredPasskey {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    publicKey: new Uint8Array(Buffer.from(row.public_key, "hex")),
    counter: row.counter,
    transports: row.transports === "" ? [] : row.transports.split(LIST_SEPARATOR),
    createdMs: row.created_ms,
    lastUsedMs: row.last_used_ms,
  };
}
