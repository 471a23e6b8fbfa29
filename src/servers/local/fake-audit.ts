import type { AuditEntry, AuditRequest } from "./control.ts";

/** The audit log of the fakes. */
export const FAKE_AUDIT: readonly AuditEntry[] = [
  {
    id: 1,
    atMs: 1_000,
    actor: "operator",
    action: "join-code.created",
    subject: "join-code:1",
    detail: { name: "den" },
  },
  {
    id: 2,
    atMs: 2_000,
    actor: "device:1",
    action: "ports.granted",
    subject: "device:1",
    detail: { ports: "8840/tcp" },
  },
  { id: 5, atMs: 3_000, actor: "user:ada", action: "ports.released", subject: "device:1", detail: {} },
];

export function fakeAudit({ afterId, sinceMs, limit }: AuditRequest): readonly AuditEntry[] {
  return FAKE_AUDIT.filter(({ id, atMs }) => id > afterId && atMs >= sinceMs).slice(0, limit);
}
