import { seesAll } from "../../core/access/rights.ts";
import { ApiFailure, type Page, type PageRequest, type Principal } from "../../servers/api/backend.ts";
import type { AuditEntry, TrafficReport } from "../../servers/api/schema.ts";
import type { Store } from "../../store/store.ts";
import type { TrafficSpan } from "../../store/traffic.ts";
import { apiId, partsOfId } from "./forwards.ts";
import { storageFailure } from "./storage.ts";

export interface TrafficAsk {
  readonly span: TrafficSpan;
  readonly sinceMs: number;
  /** Null = all together. */
  readonly forward: string | null;
  /** By id; null = of every device. */
  readonly device: string | null;
}

const MAX_FORWARDS = 100;

/** What was carried: of every account for administrators, of their own for others. */
export async function trafficReport(
  { traffic }: Pick<Store, "traffic">,
  who: Principal,
  { span, sinceMs, forward, device }: TrafficAsk,
): Promise<TrafficReport> {
  const parts = forward === null ? null : partsOfId(forward);
  if (forward !== null && parts === null) return { span, slots: [], forwards: [] };
  const query = {
    span,
    sinceMs,
    accountId: seesAll(who) ? null : who.accountId,
    deviceId: device,
    forward: parts === null ? null : { deviceId: parts.device, specId: parts.specId },
  };
  const slots = await traffic.slots(query).catch(rethrow);
  const each = await traffic.forwards(query, MAX_FORWARDS).catch(rethrow);
  return {
    span,
    slots,
    forwards: each.map(({ deviceId, specId, deviceName, name, bytesIn, bytesOut, visitors }) => ({
      id: apiId(deviceId, specId),
      name,
      device: { id: deviceId, name: deviceName },
      bytesIn,
      bytesOut,
      visitors,
    })),
  };
}

/** The log of what was done, newest first; administrators alone. */
export async function auditPage(
  { audit }: Pick<Store, "audit">,
  who: Principal,
  { limit, cursor }: PageRequest,
): Promise<Page<AuditEntry>> {
  if (who.role !== "admin") throw new ApiFailure("forbidden", "The audit log is for administrators.");
  const beforeId = cursor === null ? null : Number(cursor);
  if (beforeId !== null && !Number.isSafeInteger(beforeId))
    throw new ApiFailure("invalid", "The cursor is not one of this list: begin without one.");
  const rows = await audit.list({ limit: limit + 1, ...(beforeId === null ? {} : { beforeId }) }).catch(rethrow);
  const items = rows.slice(0, limit);
  return { items, next: rows.length > limit ? String(items.at(-1)?.id ?? 0) : null };
}

function rethrow(error: unknown): never {
  throw storageFailure(error);
}
