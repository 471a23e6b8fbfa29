interface SparklineProps {
  readonly values: readonly number[];
  /** As many as fit from left to right; fewer stand at the right. */
  readonly slots: number;
  readonly label: string;
}

const HEIGHT = 40;
const WIDTH = 240;

/** The last while, drawn to its own greatest value. */
export function Sparkline({ values, slots, label }: SparklineProps) {
  if (values.length < 2) return null;
  const top = Math.max(1, ...values);
  const step = WIDTH / (slots - 1);
  const from = slots - values.length;
  const points = values.map((value, index) => {
    const x = ((from + index) * step).toFixed(1);
    const y = (HEIGHT - 2 - (value / top) * (HEIGHT - 4)).toFixed(1);
    return `${x},${y}`;
  });
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <polyline points={points.join(" ")} />
    </svg>
  );
}
