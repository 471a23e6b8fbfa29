import { type Selectable, sql } from "kysely";
import type { Protocol } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { appendAudit } from "./audit.ts";
import type { Db, LeasesTable } from "./schema.ts";

/** External ports, inclusive. */
export interface LeasedRange {
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
}

interface Holder {
  readonly deviceId: string;
  readonly forwardId: string;
  readonly accountId: string;
  /** Devices of one account that name the same group share ports (load balancing). */
  readonly group: string | null;
  /** The relay's address it listens on: an IP literal, or `*`. */
  readonly bind: string;
  /** Null while the device is connected, and for ports that are its own for good. */
  readonly expiresMs: number | null;
}

/** Who has ports, until when. */
export interface Lease extends Holder, LeasedRange {}

export interface LeaseClaim extends Holder {
  readonly ranges: readonly LeasedRange[];
}

/** Someone else has one of the ports. */
export interface LeaseConflict {
  readonly held: Lease;
}

/** What `Holdings` wrote, for who looks: the relay itself counts by its own table. */
export interface Leases {
  /** By protocol and port. Expired ones are not among them. */
  list(nowMs: number): Promise<Lease[]>;
}

const EVERY_ADDRESS = ["*", "0.0.0.0", "::"];

export function leasesOn(db: Db): Leases {
  return {
    async list(nowMs) {
      const rows = await db
        .selectFrom("leases")
        .selectAll()
        .where((where) => where.or([where("expires_ms", "is", null), where("expires_ms", ">", nowMs)]))
        .orderBy("protocol")
        .orderBy("first_port")
        .orderBy("device_id")
        .execute();
      return rows.map(toLease);
    },
  };
}

/**
 * Gives a forward exactly the ranges it claims, all of them or none, in place of those it had. A port goes to one holder
 * only, whatever the caller believes: this is checked in the same transaction. Free what has expired first (`dropExpired`).
 */
export async function grantPorts(
  trx: Db,
  claim: LeaseClaim,
  nowMs: number,
  actor = `device:${claim.deviceId}`,
): Promise<Result<void, LeaseConflict>> {
  for (const range of claim.ranges) {
    const held = await findConflict(trx, claim, range);
    if (held !== null) return err({ held });
  }
  const before = await drop(trx, claim.deviceId, claim.forwardId);
  const rows = claim.ranges.map((range) => toRow({ ...claim, ...range }));
  for (const row of rows) await trx.insertInto("leases").values(row).execute();
  if (portsOf(before) === portsOf(rows.map(toLease))) return ok(undefined);
  await tellReleased(trx, before, "released", nowMs, actor);
  if (rows.length === 0) return ok(undefined);
  const subject = `device:${claim.deviceId}`;
  const detail = { forward: claim.forwardId, ports: portsOf(rows.map(toLease)), expiresMs: claim.expiresMs };
  await appendAudit(trx, { actor, action: "ports.granted", subject, detail }, nowMs);
  return ok(undefined);
}

/** Another forward's lease on one of these ports, unless both are of one group. O(log leases + found). */
async function findConflict(db: Db, claim: LeaseClaim, range: LeasedRange): Promise<Lease | null> {
  const everywhere = EVERY_ADDRESS.includes(claim.bind);
  const binds = everywhere ? sql`` : sql`and bind in (${sql.join([claim.bind, ...EVERY_ADDRESS])})`;
  // What reaches into the range begins in it, or at most its own reach before: few rows of each reach can.
  const { rows } = await sql<Selectable<LeasesTable>>`
    select leases.* from (values ${REACHES}) as each cross join leases
    where protocol = ${range.protocol} and reach = each.column1
      and first_port between ${range.first} - each.column1 + 1 and ${range.last}
      and last_port >= ${range.first} ${binds}
    order by first_port`.execute(db);
  const row = rows.find((other) => {
    const own = other.device_id === claim.deviceId && other.forward_id === claim.forwardId;
    const shared = claim.group !== null && other.group_name === claim.group && other.account_id === claim.accountId;
    return !own && !shared;
  });
  return row === undefined ? null : toLease(row);
}

const REACHES = sql.raw(Array.from({ length: 17 }, (_, at) => `(${2 ** at})`).join(", "));

function reachOf({ first, last }: LeasedRange): number {
  return 2 ** Math.ceil(Math.log2(last - first + 1));
}

async function drop(trx: Db, deviceId: string, forwardId: string): Promise<Lease[]> {
  const rows = await trx
    .deleteFrom("leases")
    .where("device_id", "=", deviceId)
    .where("forward_id", "=", forwardId)
    .returningAll()
    .execute();
  return rows.map(toLease);
}

/** Frees a forward's ports. */
export async function releasePorts(
  trx: Db,
  deviceId: string,
  forwardId: string,
  nowMs: number,
  actor?: string,
): Promise<void> {
  await tellReleased(trx, await drop(trx, deviceId, forwardId), "released", nowMs, actor);
}

/**
 * Writes only rows that differ. One statement for all that end together, because visitors wait meanwhile: forwards of a
 * device mostly do, and one for each of 20,000 would take a second.
 */
export async function setExpiry(trx: Db, deviceId: string, ends: ReadonlyMap<string, number | null>): Promise<void> {
  const together = Map.groupBy(ends, ([, expiresMs]) => expiresMs);
  for (const [expiresMs, those] of together) {
    const forwardIds = JSON.stringify(those.map(([forwardId]) => forwardId));
    await trx
      .updateTable("leases")
      .set({ expires_ms: expiresMs })
      .where("device_id", "=", deviceId)
      .where("forward_id", "in", sql<string>`(select value from json_each(${forwardIds}))`)
      .where("expires_ms", "is distinct from", expiresMs)
      .execute();
  }
}

export async function dropExpired(trx: Db, nowMs: number): Promise<void> {
  const rows = await trx.deleteFrom("leases").where("expires_ms", "<=", nowMs).returningAll().execute();
  await tellReleased(trx, rows.map(toLease), "expired", nowMs);
}

/** One audit entry for each forward: who had which port until when. */
async function tellReleased(
  trx: Db,
  leases: readonly Lease[],
  how: "released" | "expired",
  nowMs: number,
  actor = "relay",
): Promise<void> {
  const byForward = Map.groupBy(leases, ({ deviceId, forwardId }) => JSON.stringify([deviceId, forwardId]));
  for (const group of byForward.values()) {
    const [lease] = group;
    if (lease === undefined) continue;
    const subject = `device:${lease.deviceId}`;
    const detail = { forward: lease.forwardId, ports: portsOf(group) };
    await appendAudit(trx, { actor, action: `ports.${how}`, subject, detail }, nowMs);
  }
}

/** `8000-8010/tcp on *, 53/udp on *`: for the audit log, and to see whether two grants are the same. */
function portsOf(leases: readonly Lease[]): string {
  return leases
    .map(({ protocol, first, last, bind }) => `${first === last ? first : `${first}-${last}`}/${protocol} on ${bind}`)
    .sort()
    .join(", ");
}

function toLease(row: Selectable<LeasesTable>): Lease {
  return {
    deviceId: row.device_id,
    forwardId: row.forward_id,
    accountId: row.account_id,
    group: row.group_name,
    protocol: row.protocol,
    first: row.first_port,
    last: row.last_port,
    bind: row.bind,
    expiresMs: row.expires_ms,
  };
}

function toRow(lease: Lease): Selectable<LeasesTable> {
  return {
    device_id: lease.deviceId,
    forward_id: lease.forwardId,
    account_id: lease.accountId,
    group_name: lease.group,
    protocol: lease.protocol,
    first_port: lease.first,
    last_port: lease.last,
    reach: reachOf(lease),
    bind: lease.bind,
    expires_ms: lease.expiresMs,
  };
}
