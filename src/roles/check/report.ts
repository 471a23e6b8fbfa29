import type { Evidence } from "../../core/check/evidence.ts";
import { hopLines, verdictOf } from "../../core/check/verdict.ts";
import type { CheckReport } from "../control.ts";
import { V } from "../views.ts";

/** What the evidence comes to, as a person is told. `host`: what visitors type. */
export function reportOf(evidence: Evidence, host: string | null): CheckReport {
  const { protocol, port } = evidence;
  const forward = evidence.kind === "forward" ? evidence.name : (evidence.forward?.name ?? null);
  const verdict = verdictOf(evidence);
  return { ...V, target: { protocol, host, port, forward }, ...verdict, evidence: hopLines(evidence, verdict) };
}
