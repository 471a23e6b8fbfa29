import type { PingLoss, PingOutcome } from "./model.ts";

/** Figures of the probes that were answered, milliseconds. */
export interface PingFigures {
  readonly minMs: number;
  readonly medianMs: number;
  readonly meanMs: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /**
   * How much one probe differs from the one before it: the mean of |IPDV|, the packet delay variation of RFC 3393 §2.4
   * with successive packets selected. A loss breaks the succession. Null for want of two successive answers.
   */
  readonly jitterMs: number | null;
}

export interface PingSummary {
  readonly sent: number;
  readonly lost: number;
  /** Why, by how often; reasons that never happened are absent. */
  readonly losses: Readonly<Partial<Record<PingLoss, number>>>;
  /** Null: nothing was answered. */
  readonly figures: PingFigures | null;
}

/** Why probes were lost mostly; null = none was. */
export function mainLoss({ losses }: Pick<PingSummary, "losses">): PingLoss | null {
  const [first] = Object.entries(losses).toSorted(([, a], [, b]) => b - a);
  return first === undefined ? null : (first[0] as PingLoss);
}

/** `outcomes` in the order the probes were sent in. */
export function summarize(outcomes: readonly PingOutcome[]): PingSummary {
  const answered = outcomes.flatMap((outcome) => ("ms" in outcome ? [outcome.ms] : []));
  const losses: Partial<Record<PingLoss, number>> = {};
  for (const outcome of outcomes) {
    if ("lost" in outcome) losses[outcome.lost] = (losses[outcome.lost] ?? 0) + 1;
  }
  return {
    sent: outcomes.length,
    lost: outcomes.length - answered.length,
    losses,
    figures: answered.length === 0 ? null : figuresOf(answered, jitterOf(outcomes)),
  };
}

function figuresOf(answered: readonly number[], jitterMs: number | null): PingFigures {
  const sorted = answered.toSorted((a, b) => a - b);
  return {
    minMs: quantile(sorted, 0),
    medianMs: quantile(sorted, 0.5),
    meanMs: sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length,
    p90Ms: quantile(sorted, 0.9),
    p99Ms: quantile(sorted, 0.99),
    maxMs: quantile(sorted, 1),
    jitterMs,
  };
}

/** Linear between the two nearest, as spreadsheets have it (Hyndman and Fan's definition 7). `sorted` is not empty. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? 0;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

function jitterOf(outcomes: readonly PingOutcome[]): number | null {
  const differences: number[] = [];
  let before: number | null = null;
  for (const outcome of outcomes) {
    const ms = "ms" in outcome ? outcome.ms : null;
    if (ms !== null && before !== null) differences.push(Math.abs(ms - before));
    before = ms;
  }
  if (differences.length === 0) return null;
  return differences.reduce((sum, difference) => sum + difference, 0) / differences.length;
}
