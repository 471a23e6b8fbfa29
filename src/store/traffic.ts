import { type RawBuilder, sql } from "kysely";
import type { Db } from "./schema.ts";

/** What a forward carried in one slot. */
export interface Carried {
  readonly deviceId: string;
  readonly specId: string;
  readonly accountId: string;
  readonly deviceName: string;
  readonly name: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly visitors: number;
}

export interface CarriedIn extends Carried {
  /** Its begin, Unix time, UTC. */
  readonly slotMs: number;
}

export type TrafficSpan = "hour" | "day";

export interface Traffic {
  /** Adds to the hour of `nowMs`, in one transaction. */
  add(carried: readonly Carried[], nowMs: number): Promise<void>;
  /** From `sinceMs` on, oldest first. `day`: of the days that hours are kept of, their sum. */
  list(query: {
    readonly span: TrafficSpan;
    readonly sinceMs: number;
    /** Null = every account. */
    readonly accountId: string | null;
  }): Promise<CarriedIn[]>;
  /** Makes days of hours that are older than HOURS_KEPT_MS, and forgets days older than DAYS_KEPT_MS. */
  condense(nowMs: number): Promise<void>;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const HOURS_KEPT_MS = 14 * DAY_MS;
export const DAYS_KEPT_MS = 400 * DAY_MS;

export function trafficOn(db: Db): Traffic {
  return {
    add: (carried, nowMs) =>
      db.transaction().execute(async (trx) => {
        for (const one of carried) await addTo(trx, "hour", slotOf(nowMs, HOUR_MS), one);
      }),
    async list({ span, sinceMs, accountId }) {
      if (span === "hour") return rowsOf(db, "hour", sinceMs, accountId, sql<number>`slot_ms`);
      const day = sql<number>`slot_ms - slot_ms % ${DAY_MS}`;
      const sinceDay = slotOf(sinceMs, DAY_MS);
      const [days, hours] = await Promise.all([
        rowsOf(db, "day", sinceDay, accountId, sql<number>`slot_ms`),
        rowsOf(db, "hour", sinceDay, accountId, day),
      ]);
      return merged([...days, ...hours]);
    },
    condense: (nowMs) =>
      db.transaction().execute(async (trx) => {
        const beforeMs = slotOf(nowMs - HOURS_KEPT_MS, DAY_MS);
        const old = await rowsOf(trx, "hour", 0, null, sql<number>`slot_ms - slot_ms % ${DAY_MS}`, beforeMs);
        for (const { slotMs, ...one } of old) await addTo(trx, "day", slotMs, one);
        await trx.deleteFrom("traffic").where("span", "=", "hour").where("slot_ms", "<", beforeMs).execute();
        await trx
          .deleteFrom("traffic")
          .where("span", "=", "day")
          .where("slot_ms", "<", slotOf(nowMs - DAYS_KEPT_MS, DAY_MS))
          .execute();
      }),
  };
}

function slotOf(ms: number, lengthMs: number): number {
  return ms - (ms % lengthMs);
}

async function addTo(trx: Db, span: TrafficSpan, slotMs: number, one: Carried): Promise<void> {
  await trx
    .insertInto("traffic")
    .values({
      span,
      slot_ms: slotMs,
      device_id: one.deviceId,
      spec_id: one.specId,
      account_id: one.accountId,
      device_name: one.deviceName,
      name: one.name,
      bytes_in: one.bytesIn,
      bytes_out: one.bytesOut,
      visitors: one.visitors,
    })
    .onConflict((conflict) =>
      conflict.columns(["span", "slot_ms", "device_id", "spec_id"]).doUpdateSet((eb) => ({
        // The newest names count.
        device_name: eb.ref("excluded.device_name"),
        name: eb.ref("excluded.name"),
        bytes_in: eb("traffic.bytes_in", "+", eb.ref("excluded.bytes_in")),
        bytes_out: eb("traffic.bytes_out", "+", eb.ref("excluded.bytes_out")),
        visitors: eb("traffic.visitors", "+", eb.ref("excluded.visitors")),
      })),
    )
    .execute();
}

/** Summed by `slot` and forward. */
async function rowsOf(
  db: Db,
  span: TrafficSpan,
  sinceMs: number,
  accountId: string | null,
  slot: RawBuilder<number>,
  beforeMs = Number.MAX_SAFE_INTEGER,
): Promise<CarriedIn[]> {
  const rows = await db
    .selectFrom("traffic")
    .select(({ fn }) => [
      slot.as("slot"),
      "device_id",
      "spec_id",
      "account_id",
      fn.max("device_name").as("device_name"),
      fn.max("name").as("name"),
      fn.sum<number>("bytes_in").as("bytes_in"),
      fn.sum<number>("bytes_out").as("bytes_out"),
      fn.sum<number>("visitors").as("visitors"),
    ])
    .where("span", "=", span)
    .where("slot_ms", ">=", sinceMs)
    .where("slot_ms", "<", beforeMs)
    .$if(accountId !== null, (query) => query.where("account_id", "=", accountId ?? ""))
    .groupBy(["slot", "device_id", "spec_id", "account_id"])
    .orderBy("slot")
    .orderBy("device_id")
    .orderBy("spec_id")
    .execute();
  return rows.map((row) => ({
    slotMs: row.slot,
    deviceId: row.device_id,
    specId: row.spec_id,
    accountId: row.account_id,
    deviceName: row.device_name,
    name: row.name,
    bytesIn: row.bytes_in,
    bytesOut: row.bytes_out,
    visitors: row.visitors,
  }));
}

/** A day that is half condensed stands in both spans. */
function merged(rows: readonly CarriedIn[]): CarriedIn[] {
  const groups = Map.groupBy(rows, ({ slotMs, deviceId, specId }) => JSON.stringify([slotMs, deviceId, specId]));
  const sums = [...groups.values()].flatMap(([one, other]): CarriedIn[] => {
    if (one === undefined || other === undefined) return one === undefined ? [] : [one];
    return [
      {
        ...one,
        bytesIn: one.bytesIn + other.bytesIn,
        bytesOut: one.bytesOut + other.bytesOut,
        visitors: one.visitors + other.visitors,
      },
    ];
  });
  return sums.toSorted((a, b) => a.slotMs - b.slotMs);
}
