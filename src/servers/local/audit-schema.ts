import { z } from "../../wire/zod.ts";

/** A page of them: some 200 KB. */
export const MAX_AUDIT_ENTRIES = 1_000;

/** Entries after the id, not before the time, oldest first. */
export const AuditRequest = z.strictObject({
  afterId: z.int().min(0),
  /** Unix time, milliseconds. */
  sinceMs: z.number(),
  limit: z.int().min(1).max(MAX_AUDIT_ENTRIES),
});
export type AuditRequest = z.infer<typeof AuditRequest>;

/** As the store has it. */
export const AuditEntry = z.object({
  /** Rising. */
  id: z.int(),
  atMs: z.number(),
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()).readonly(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;
