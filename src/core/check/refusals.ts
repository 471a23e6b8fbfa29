import type { ReasonName } from "../../wire/reason.ts";
import { RisingCounts } from "../rising-counts.ts";

/** Why visitors were turned away between two looks at the same counts, which may have begun again from zero. */
export function refusalsBetween(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): ReasonName[] {
  const counts = new RisingCounts();
  counts.saw(before);
  const start = counts.total();
  counts.saw(after);
  return Object.entries(counts.total()).flatMap(([reason, count]) =>
    count > (start[reason] ?? 0) ? [reason as ReasonName] : [],
  );
}
