import type { Owner } from "../core/held.ts";
import type { SavedEpoch } from "../core/mapping/epoch.ts";
import type { MappingSpec } from "../core/mapping/spec.ts";
import { parseJson } from "../wire/json.ts";
import { mappingSpecSchema } from "../wire/mapping-schema.ts";
import { z } from "../wire/zod.ts";
import { appendAudit } from "./audit.ts";
import type { Db } from "./schema.ts";

export interface StoredMapping {
  readonly owner: Owner;
  readonly spec: MappingSpec;
  /** Unix time, milliseconds; null = permanent. */
  readonly expiresMs: number | null;
}

/** One step in what a gateway forwards. */
export type MappingChange =
  | ({
      readonly kind: "put" /** Who wanted it, for the audit log; absent = whoever it says. */;
      readonly actor?: string;
    } & StoredMapping)
  /** Asked for again: only its end is another. */
  | { readonly kind: "renew"; readonly device: string; readonly id: string; readonly expiresMs: number | null }
  /** `kept`: its row stays, ended, so that a start that follows knows whose the ports were. */
  | {
      readonly kind: "remove";
      readonly device: string;
      readonly id: string;
      readonly how: "removed" | "expired";
      readonly kept: boolean;
      /** For the audit log; absent = the gateway itself. */
      readonly actor?: string;
    }
  | { readonly kind: "epoch"; readonly saved: SavedEpoch }
  | { readonly kind: "fact"; readonly name: string; readonly value: string };

export interface Mappings {
  /** Oldest first, also those whose end has passed. One that cannot be read is told to `onDamaged` and left out. */
  list(onDamaged: (message: string) => void): Promise<StoredMapping[]>;
  /** Null = none was ever saved. */
  epoch(): Promise<SavedEpoch | null>;
  /** What the gateway keeps of itself by that name. */
  fact(name: string): Promise<string | null>;
  /** Carries the changes out in their order, in one transaction. */
  apply(changes: readonly MappingChange[], nowMs: number): Promise<null[]>;
}

const EPOCH = "epoch";
/** Of a row that is kept: long ago. */
const ENDED_MS = 0;
const savedEpoch = z.object({ ageMs: z.number(), savedAtUnixMs: z.number() });

export function mappingsOn(db: Db): Mappings {
  return {
    async list(onDamaged) {
      const rows = await db.selectFrom("mappings").selectAll().orderBy("created_ms").orderBy("spec_id").execute();
      return rows.flatMap((row) => {
        const spec = toSpec(row.spec);
        if (spec === null) {
          onDamaged(`The mapping ${row.spec_id} in the database cannot be read: ask for it again.`);
          return [];
        }
        return [{ owner: { account: row.account_id, device: row.device }, spec, expiresMs: row.expires_ms }];
      });
    },
    fact: (name) => readFact(db, name),
    async epoch() {
      const value = await readFact(db, EPOCH);
      const parsed = value === null ? undefined : savedEpoch.safeParse(parseJson(value));
      return parsed?.success === true ? parsed.data : null;
    },
    apply: (changes, nowMs) =>
      db.transaction().execute(async (trx) => {
        for (const change of changes) await applyOne(trx, change, nowMs);
        return changes.map(() => null);
      }),
  };
}

async function applyOne(trx: Db, change: MappingChange, nowMs: number): Promise<void> {
  switch (change.kind) {
    case "put":
      return await put(trx, change, nowMs);
    case "renew":
      await trx
        .updateTable("mappings")
        .set({ expires_ms: change.expiresMs, updated_ms: nowMs })
        .where("device", "=", change.device)
        .where("spec_id", "=", change.id)
        .execute();
      return;
    case "remove":
      return await remove(trx, change, nowMs);
    case "epoch":
      return await putFact(trx, EPOCH, JSON.stringify(change.saved));
    case "fact":
      return await putFact(trx, change.name, change.value);
    default:
      return change satisfies never;
  }
}

async function readFact(db: Db, name: string): Promise<string | null> {
  const row = await db.selectFrom("gateway_facts").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value ?? null;
}

async function putFact(trx: Db, name: string, value: string): Promise<void> {
  await trx
    .insertInto("gateway_facts")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
    .execute();
}

async function put(
  trx: Db,
  { owner, spec, expiresMs, actor = actorOf(spec) }: MappingChange & { kind: "put" },
  nowMs: number,
): Promise<void> {
  const changing = { spec: JSON.stringify(spec), expires_ms: expiresMs, updated_ms: nowMs };
  await trx
    .insertInto("mappings")
    .values({ ...changing, device: owner.device, spec_id: spec.id, account_id: owner.account, created_ms: nowMs })
    .onConflict((conflict) => conflict.columns(["device", "spec_id"]).doUpdateSet(changing))
    .execute();
  const detail = { mapping: spec.id, name: spec.name, ports: spec.ports, to: spec.to, origin: spec.origin, expiresMs };
  const subject = `client:${owner.device}`;
  await appendAudit(trx, { actor, action: "mapping.opened", subject, detail }, nowMs);
}

async function remove(trx: Db, change: MappingChange & { kind: "remove" }, nowMs: number): Promise<void> {
  const { device, id, how, kept, actor = "gateway" } = change;
  const gone = kept
    ? await trx
        .updateTable("mappings")
        .set({ expires_ms: ENDED_MS, updated_ms: nowMs })
        .where("device", "=", device)
        .where("spec_id", "=", id)
        .returning("spec_id")
        .execute()
    : await trx
        .deleteFrom("mappings")
        .where("device", "=", device)
        .where("spec_id", "=", id)
        .returning("spec_id")
        .execute();
  if (gone.length === 0) return;
  const event = { actor, action: `mapping.${how}`, subject: `client:${device}`, detail: { mapping: id } };
  await appendAudit(trx, event, nowMs);
}

function actorOf({ requester }: MappingSpec): string {
  return requester === null ? "operator" : `client:${requester}`;
}

/** We wrote it; it is checked because a hand or an older program may have been at the file. */
function toSpec(text: string): MappingSpec | null {
  const parsed = mappingSpecSchema.safeParse(parseJson(text));
  return parsed.success ? parsed.data : null;
}
