import type { Origin, RemoteSpec } from "../core/forward.ts";
import { remoteSpecSchema } from "../wire/spec-schema.ts";
import { StoreFailure } from "./failure.ts";
import type { Db } from "./schema.ts";

/** A remote forward as a device asked for it. */
export interface StoredForward {
  readonly deviceId: string;
  readonly spec: RemoteSpec;
  readonly origin: Origin;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface Forwards {
  /** Writes only what differs: an agent that comes back with a thousand unchanged forwards costs no fsync. */
  put(deviceId: string, spec: RemoteSpec, origin: Origin, nowMs: number): Promise<void>;
  /** False when there was none. */
  remove(deviceId: string, specId: string): Promise<boolean>;
  /** Removes what the device no longer names; answers the ids that are gone. */
  retain(deviceId: string, specIds: readonly string[]): Promise<string[]>;
  /** False when there is no such forward. */
  setEnabled(deviceId: string, specId: string, enabled: boolean, nowMs: number): Promise<boolean>;
  /** By device, then oldest first. Absent = every device's. */
  list(deviceId?: string): Promise<StoredForward[]>;
}

export function forwardsOn(db: Db): Forwards {
  return {
    put: (deviceId, spec, origin, nowMs) =>
      db.transaction().execute((trx) => putForward(trx, deviceId, spec, origin, nowMs)),
    remove: (deviceId, specId) => removeForward(db, deviceId, specId),
    retain: (deviceId, specIds) =>
      db.transaction().execute(async (trx) => {
        const rows = await trx.selectFrom("forwards").select("spec_id").where("device_id", "=", deviceId).execute();
        const kept = new Set(specIds);
        const gone = rows.map(({ spec_id }) => spec_id).filter((id) => !kept.has(id));
        for (const id of gone)
          await trx.deleteFrom("forwards").where("device_id", "=", deviceId).where("spec_id", "=", id).execute();
        return gone;
      }),
    setEnabled: (deviceId, specId, enabled, nowMs) =>
      db.transaction().execute(async (trx) => {
        const row = await trx
          .selectFrom("forwards")
          .selectAll()
          .where("device_id", "=", deviceId)
          .where("spec_id", "=", specId)
          .executeTakeFirst();
        if (row === undefined) return false;
        await putForward(trx, deviceId, { ...toSpec(row.spec, specId), enabled }, row.origin, nowMs);
        return true;
      }),
    async list(deviceId) {
      const rows = await db
        .selectFrom("forwards")
        .selectAll()
        .$if(deviceId !== undefined, (query) => query.where("device_id", "=", deviceId ?? ""))
        .orderBy("device_id")
        .orderBy("created_ms")
        .orderBy("spec_id")
        .execute();
      return rows.map((row) => ({
        deviceId: row.device_id,
        spec: toSpec(row.spec, row.spec_id),
        origin: row.origin,
        createdMs: row.created_ms,
        updatedMs: row.updated_ms,
      }));
    },
  };
}

export async function removeForward(db: Db, deviceId: string, specId: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom("forwards")
    .where("device_id", "=", deviceId)
    .where("spec_id", "=", specId)
    .executeTakeFirstOrThrow();
  return numDeletedRows > 0n;
}

export async function putForward(
  db: Db,
  deviceId: string,
  spec: RemoteSpec,
  origin: Origin,
  nowMs: number,
): Promise<void> {
  const text = JSON.stringify(spec);
  const present = await db
    .selectFrom("forwards")
    .select(["spec", "origin"])
    .where("device_id", "=", deviceId)
    .where("spec_id", "=", spec.id)
    .executeTakeFirst();
  if (present?.spec === text && present.origin === origin) return;
  const changing = { spec: text, enabled: spec.enabled ? 1 : 0, origin, updated_ms: nowMs };
  await db
    .insertInto("forwards")
    .values({ ...changing, device_id: deviceId, spec_id: spec.id, created_ms: nowMs })
    .onConflict((conflict) => conflict.columns(["device_id", "spec_id"]).doUpdateSet(changing))
    .execute();
}

/** We wrote it; it is checked because a hand or an older program may have been at the file. */
function toSpec(text: string, specId: string): RemoteSpec {
  const message = `The forward ${specId} in the database cannot be read: remove it and add it again.`;
  try {
    const parsed = remoteSpecSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw new StoreFailure("damaged", message, { cause: parsed.error });
  } catch (cause) {
    throw cause instanceof StoreFailure ? cause : new StoreFailure("damaged", message, { cause });
  }
}
