import type { Evidence } from "../../core/check/evidence.ts";
import type { SiteEvidence } from "../../core/check/site-rules.ts";
import { hopLines, verdictOf } from "../../core/check/verdict.ts";
import type { CheckReport } from "../control.ts";
import { V } from "../views.ts";

/** What the evidence comes to, as a person is told. `host`: what visitors type. */
export function reportOf(evidence: Evidence | SiteEvidence, host: string | null): CheckReport {
  const { protocol, port } = evidence;
  const forward = evidence.kind === "address" ? (evidence.forward?.name ?? null) : evidence.name;
  const verdict = verdictOf(evidence);
  return { ...V, target: { protocol, host, port, forward }, ...verdict, evidence: hopLines(evidence, verdict) };
}
