import type { Origin, RemoteSpec } from "../core/forward.ts";
import { remoteSpecSchema } from "../wire/spec-schema.ts";
import { StoreFailure } from "./failure.ts";
import type { Db } from "./schema.ts";

/** A remote forward as a device asked for it, or as it was assigned to it. */
export interface StoredForward {
  readonly deviceId: string;
  readonly spec: RemoteSpec;
  /** Of an assigned forward: the host that the device dials. Null = the device's own forward. */
  readonly target: string | null;
  readonly origin: Origin;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface Forwards {
  /** By device, then oldest first. Written by `Holdings`. */
  list(): Promise<StoredForward[]>;
}

export function forwardsOn(db: Db): Forwards {
  return {
    async list() {
      const rows = await db
        .selectFrom("forwards")
        .selectAll()
        .orderBy("device_id")
        .orderBy("created_ms")
        .orderBy("spec_id")
        .execute();
      return rows.map((row) => ({
        deviceId: row.device_id,
        spec: toSpec(row.spec, row.spec_id),
        target: row.target,
        origin: row.origin,
        createdMs: row.created_ms,
        updatedMs: row.updated_ms,
      }));
    },
  };
}

export async function removeForward(db: Db, deviceId: string, specId: string): Promise<void> {
  await db.deleteFrom("forwards").where("device_id", "=", deviceId).where("spec_id", "=", specId).execute();
}

/** Writes only what differs: an agent that comes back with a thousand unchanged forwards changes no row. */
export async function putForward(
  db: Db,
  { deviceId, spec, target, origin }: Pick<StoredForward, "deviceId" | "spec" | "target" | "origin">,
  nowMs: number,
): Promise<void> {
  const text = JSON.stringify(spec);
  const present = await db
    .selectFrom("forwards")
    .select(["spec", "target", "origin"])
    .where("device_id", "=", deviceId)
    .where("spec_id", "=", spec.id)
    .executeTakeFirst();
  if (present?.spec === text && present.origin === origin && present.target === target) return;
  const changing = { spec: text, target, enabled: spec.enabled ? 1 : 0, origin, updated_ms: nowMs };
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
