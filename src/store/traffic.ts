import { type FunctionModule, type SelectQueryBuilder, sql } from "kysely";
import type { Db, Schema, TrafficTable } from "./schema.ts";

interface Amount {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly visitors: number;
}

/** What a forward carried. */
export interface Carried extends Amount {
  readonly deviceId: string;
  readonly specId: string;
  readonly accountId: string;
  /** As they were called then: the forward may be gone. */
  readonly deviceName: string;
  readonly name: string;
}

export interface CarriedIn extends Amount {
  /** The slot's begin, Unix time, UTC. */
  readonly slotMs: number;
}

export type TrafficSpan = "hour" | "day";

export interface TrafficQuery {
  /** `day`: days that hours are still kept of are their sum. */
  readonly span: TrafficSpan;
  /** Slots that began before it are left out. */
  readonly sinceMs: number;
  /** Null = every account. */
  readonly accountId: string | null;
  /** Null = every device. */
  readonly deviceId: string | null;
  /** Null = every forward. */
  readonly forward: { readonly deviceId: string; readonly specId: string } | null;
}

export interface Traffic {
  /** Adds to the hour of `nowMs`, in one transaction. */
  add(carried: readonly Carried[], nowMs: number): Promise<void>;
  /** What all of them carried together in each slot, oldest first; slots without traffic are left out. */
  slots(query: TrafficQuery): Promise<CarriedIn[]>;
  /** What each carried, the most first, `limit` of them. */
  forwards(query: TrafficQuery, limit: number): Promise<Carried[]>;
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
    async slots(query) {
      const rows = await select(db, query)
        .select(({ fn }) => [slotIn(query.span).as("slot"), ...sums(fn)])
        .groupBy("slot")
        .orderBy("slot")
        .execute();
      return rows.map(({ slot, bytes_in: bytesIn, bytes_out: bytesOut, visitors }) => ({
        slotMs: slot,
        bytesIn,
        bytesOut,
        visitors,
      }));
    },
    async forwards(query, limit) {
      const rows = await eachOf(select(db, query))
        .orderBy((eb) => eb(eb.fn.sum("bytes_in"), "+", eb.fn.sum("bytes_out")), "desc")
        .orderBy("device_id")
        .orderBy("spec_id")
        .limit(limit)
        .execute();
      return rows.map(carriedOf);
    },
    condense: (nowMs) =>
      db.transaction().execute(async (trx) => {
        const beforeMs = slotOf(nowMs - HOURS_KEPT_MS, DAY_MS);
        const old = trx.selectFrom("traffic").where("span", "=", "hour").where("slot_ms", "<", beforeMs);
        const days = await eachOf(old).select(slotIn("day").as("slot")).groupBy("slot").execute();
        for (const { slot, ...one } of days) await addTo(trx, "day", slot, carriedOf(one));
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

function select(db: Db, { span, sinceMs, accountId, deviceId, forward }: TrafficQuery) {
  return (
    db
      .selectFrom("traffic")
      // An hour is in its day's row or in its own, never in both.
      .where("span", "in", span === "hour" ? ["hour"] : ["hour", "day"])
      .where("slot_ms", ">=", span === "hour" ? sinceMs : slotOf(sinceMs + DAY_MS - 1, DAY_MS))
      .$if(accountId !== null, (query) => query.where("account_id", "=", accountId ?? ""))
      .$if(deviceId !== null, (query) => query.where("device_id", "=", deviceId ?? ""))
      .$if(forward !== null, (query) =>
        query.where("device_id", "=", forward?.deviceId ?? "").where("spec_id", "=", forward?.specId ?? ""),
      )
  );
}

function slotIn(span: TrafficSpan) {
  return span === "hour" ? sql<number>`slot_ms` : sql<number>`slot_ms - slot_ms % ${sql.lit(DAY_MS)}`;
}

function sums(fn: FunctionModule<Schema, "traffic">) {
  return [
    fn.sum<number>("bytes_in").as("bytes_in"),
    fn.sum<number>("bytes_out").as("bytes_out"),
    fn.sum<number>("visitors").as("visitors"),
  ] as const;
}

function eachOf<O>(query: SelectQueryBuilder<Schema, "traffic", O>) {
  return query
    .select(({ fn }) => [
      "device_id",
      "spec_id",
      "account_id",
      fn.max("device_name").as("device_name"),
      fn.max("name").as("name"),
      ...sums(fn),
    ])
    .groupBy(["device_id", "spec_id", "account_id"]);
}

function carriedOf(row: Omit<TrafficTable, "span" | "slot_ms">): Carried {
  return {
    deviceId: row.device_id,
    specId: row.spec_id,
    accountId: row.account_id,
    deviceName: row.device_name,
    name: row.name,
    bytesIn: row.bytes_in,
    bytesOut: row.bytes_out,
    visitors: row.visitors,
  };
}
