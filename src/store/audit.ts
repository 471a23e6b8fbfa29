import type { Selectable } from "kysely";
import type { AuditTable, Db } from "./schema.ts";

/** Who did what to what. `detail` never holds a secret. */
export interface AuditEvent {
  /** `operator` (a local command), `device:ID`, `relay`, or an account's name. */
  readonly actor: string;
  /** `device.enrolled`, `ports.granted`: a noun and what happened to it. */
  readonly action: string;
  /** `device:ID`, `account:ID`, `join-code:ID`. */
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface AuditEntry extends AuditEvent {
  /** Rising; a later event has a higher one. */
  readonly id: number;
  readonly atMs: number;
}

export const OPERATOR = "operator";
const PAGE_DEFAULT = 100;

export interface Audit {
  append(event: AuditEvent, nowMs: number): Promise<void>;
  /** Newest first. `beforeId`: the next page. */
  list(filter?: {
    readonly subject?: string;
    readonly beforeId?: number;
    readonly limit?: number;
  }): Promise<AuditEntry[]>;
  /** Oldest first, at most `limit` of those after the id and not before the time: `afterId` 0 begins, the last id goes on. */
  from(filter: { readonly afterId: number; readonly sinceMs: number; readonly limit: number }): Promise<AuditEntry[]>;
}

export function auditOn(db: Db): Audit {
  return {
    append: (event, nowMs) => appendAudit(db, event, nowMs),
    async list({ subject, beforeId, limit = PAGE_DEFAULT } = {}) {
      const rows = await db
        .selectFrom("audit")
        .selectAll()
        .$if(subject !== undefined, (query) => query.where("subject", "=", subject ?? ""))
        .$if(beforeId !== undefined, (query) => query.where("id", "<", beforeId ?? 0))
        .orderBy("id", "desc")
        .limit(limit)
        .execute();
      return rows.map(entryOf);
    },
    async from({ afterId, sinceMs, limit }) {
      const rows = await db
        .selectFrom("audit")
        .selectAll()
        .where("id", ">", afterId)
        .where("at_ms", ">=", sinceMs)
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(entryOf);
    },
  };
}

function entryOf({ id, at_ms, actor, action, subject, detail }: Selectable<AuditTable>): AuditEntry {
  return { id, atMs: at_ms, actor, action, subject, detail: JSON.parse(detail) as Record<string, unknown> };
}

/** For use inside the transaction that does what it tells of: neither stands without the other. */
export async function appendAudit(db: Db, event: AuditEvent, nowMs: number): Promise<void> {
  const { actor, action, subject, detail } = event;
  await db
    .insertInto("audit")
    .values({ at_ms: nowMs, actor, action, subject, detail: JSON.stringify(detail) })
    .execute();
}
