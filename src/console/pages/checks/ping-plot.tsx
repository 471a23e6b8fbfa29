import type { PingSample } from "../../api.ts";
import { formatMs } from "../../format.ts";

interface PingPlotProps {
  readonly samples: readonly PingSample[];
  /** As many as the run will have. */
  readonly slots: number;
  readonly label: string;
}

const WIDTH = 1_000;
const HEIGHT = 200;
/** Above the highest point, so that its line is not cut. */
const HEADROOM = 1.1;

/** Two lines over the run: the link, and the service behind it. What was lost is a bar from top to bottom. */
export function PingPlot({ samples, slots, label }: PingPlotProps) {
  const top = HEADROOM * Math.max(1, ...samples.flatMap(({ linkMs, serviceMs }) => [linkMs ?? 0, serviceMs ?? 0]));
  const step = WIDTH / Math.max(1, slots);
  const xOf = (seq: number) => (seq - 1) * step + step / 2;
  const yOf = (ms: number) => HEIGHT - (ms / top) * HEIGHT;
  return (
    <figure className="plot">
      <figcaption className="plot-top quiet">{formatMs(top)}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {samples.map(({ seq, linkMs, serviceMs, lost }) => (
          <g key={seq}>
            <title>{`${seq}: link ${formatMs(linkMs)}, service ${lost ?? formatMs(serviceMs)}`}</title>
            <rect
              className={serviceMs === null ? "plot-lost" : "plot-place"}
              x={(seq - 1) * step}
              y={0}
              width={step}
              height={HEIGHT}
            />
          </g>
        ))}
        {runsOf(samples.map(({ seq, linkMs }) => ({ seq, ms: linkMs }))).map((run) => (
          <polyline key={run[0]?.seq} className="plot-line line-link" points={pointsOf(run, xOf, yOf)} />
        ))}
        {runsOf(samples.map(({ seq, serviceMs }) => ({ seq, ms: serviceMs }))).map((run) => (
          <polyline key={run[0]?.seq} className="plot-line line-service" points={pointsOf(run, xOf, yOf)} />
        ))}
      </svg>
      <div className="plot-foot quiet">
        <span>0 s</span>
        <span className="plot-key">
          <span className="key-in">Link</span> <span className="key-out">Service</span>{" "}
          <span className="key-lost">Lost</span>
        </span>
        <span>{slots} s</span>
      </div>
    </figure>
  );
}

interface Point {
  readonly seq: number;
  readonly ms: number;
}

/** A loss breaks the line. */
function runsOf(
  points: readonly { readonly seq: number; readonly ms: number | null }[],
): readonly (readonly Point[])[] {
  const runs: Point[][] = [[]];
  for (const { seq, ms } of points) {
    if (ms === null) runs.push([]);
    else runs.at(-1)?.push({ seq, ms });
  }
  return runs.filter((run) => run.length > 0);
}

/** One point alone is a line of no length, which its round ends make a dot. */
function pointsOf(run: readonly Point[], xOf: (seq: number) => number, yOf: (ms: number) => number): string {
  const drawn = run.length === 1 ? [...run, ...run] : run;
  return drawn.map(({ seq, ms }) => `${xOf(seq).toFixed(1)},${yOf(ms).toFixed(1)}`).join(" ");
}
