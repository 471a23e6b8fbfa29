import { parseJson } from "../wire/json.ts";
import { triggerRuleSchema } from "../wire/mapping-schema.ts";
import type { z } from "../wire/zod.ts";
import { appendAudit, OPERATOR } from "./audit.ts";
import type { Db } from "./schema.ts";

export type StoredTrigger = z.infer<typeof triggerRuleSchema>;

export interface Triggers {
  /** By name. One that cannot be read is told to `onDamaged` and left out. */
  list(onDamaged: (message: string) => void): Promise<StoredTrigger[]>;
  /** One of the same name is replaced. */
  put(rule: StoredTrigger, nowMs: number, actor?: string): Promise<void>;
  /** Whether there was one. */
  remove(name: string, nowMs: number, actor?: string): Promise<boolean>;
}

export function triggersOn(db: Db): Triggers {
  return {
    async list(onDamaged) {
      const rows = await db.selectFrom("triggers").selectAll().orderBy("name").execute();
      return rows.flatMap(({ name, rule }) => {
        const parsed = triggerRuleSchema.safeParse(parseJson(rule));
        if (parsed.success) return [parsed.data];
        onDamaged(`The trigger ${name} in the database cannot be read: add it again.`);
        return [];
      });
    },
    put: (rule, nowMs, actor = OPERATOR) =>
      db.transaction().execute(async (trx) => {
        const text = JSON.stringify(rule);
        await trx
          .insertInto("triggers")
          .values({ name: rule.name, rule: text })
          .onConflict((conflict) => conflict.column("name").doUpdateSet({ rule: text }))
          .execute();
        await appendAudit(trx, { ...told("trigger.added", rule.name, actor), detail: { rule } }, nowMs);
      }),
    remove: (name, nowMs, actor = OPERATOR) =>
      db.transaction().execute(async (trx) => {
        const gone = await trx.deleteFrom("triggers").where("name", "=", name).returning("name").execute();
        if (gone.length === 0) return false;
        await appendAudit(trx, { ...told("trigger.removed", name, actor), detail: {} }, nowMs);
        return true;
      }),
  };
}

function told(action: string, name: string, actor: string) {
  return { actor, action, subject: `trigger:${name}` };
}
