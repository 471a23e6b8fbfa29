import { ADDRESS_RULES, addressLines } from "./address-rules.ts";
import type { AddressEvidence, Evidence, ForwardEvidence, HopLine, Verdict } from "./evidence.ts";
import { FORWARD_RULES, forwardLines } from "./forward-rules.ts";
import type { Rule } from "./rule.ts";
import { SITE_RULES, type SiteEvidence, siteLines } from "./site-rules.ts";

type AnyEvidence = Evidence | SiteEvidence;

/** What the evidence comes to: the first rule of its table that applies. The last rule of each always does. */
export function verdictOf(evidence: AnyEvidence): Verdict {
  switch (evidence.kind) {
    case "forward":
      return firstOf<ForwardEvidence>(FORWARD_RULES, evidence);
    case "address":
      return firstOf<AddressEvidence>(ADDRESS_RULES, evidence);
    case "site":
      return firstOf<SiteEvidence>(SITE_RULES, evidence);
    default:
      return evidence satisfies never;
  }
}

/** What is known of each hop, from the outside inwards. The hop that the verdict names never looks right. */
export function hopLines(evidence: AnyEvidence, { state, hop, sure, sentence }: Verdict): HopLine[] {
  const lines = linesOf(evidence);
  if (hop === "none" || state === "open") return lines;
  const mark = sure ? "bad" : "unknown";
  if (!lines.some((line) => line.hop === hop)) return [{ hop, mark, text: sentence }, ...lines];
  return lines.map((line) => (line.hop === hop && line.mark === "ok" ? { ...line, mark } : line));
}

function linesOf(evidence: AnyEvidence): HopLine[] {
  switch (evidence.kind) {
    case "forward":
      return forwardLines(evidence);
    case "address":
      return addressLines(evidence);
    case "site":
      return siteLines(evidence);
    default:
      return evidence satisfies never;
  }
}

function firstOf<E>(rules: readonly Rule<E>[], evidence: E): Verdict {
  for (const rule of rules) {
    if (rule.when(evidence)) return { rule: rule.name, sure: true, ...rule.say(evidence) };
  }
  throw new Error("the last rule applies always");
}
