/** Of one thing that was measured again and again; milliseconds. */
export interface Figures {
  readonly medianMs: number | null;
  readonly p90Ms: number | null;
  readonly sent: number;
  readonly lost: number;
}

const MEDIAN = 0.5;
const P90 = 0.9;

/** `values`: null = it was lost. */
export function figuresOf(values: readonly (number | null)[]): Figures {
  const sorted = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  return {
    medianMs: quantile(sorted, MEDIAN),
    p90Ms: quantile(sorted, P90),
    sent: values.length,
    lost: values.length - sorted.length,
  };
}

/** Linear between the two nearest, as the command line's ping has it. Null: there is none. */
function quantile(sorted: readonly number[], share: number): number | null {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)];
  if (below === undefined) return null;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}
