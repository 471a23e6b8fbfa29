import { count, formatBytes } from "../../format.ts";
import type { Slot, Span } from "./slots.ts";

interface PlotProps {
  readonly slots: readonly Slot[];
  readonly span: Span;
  readonly label: string;
}

const WIDTH = 1_000;
const HEIGHT = 200;
/** Of a bar's place, so much is bar. */
const BAR = 0.8;

const HOUR = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });
/** Days are kept by UTC, and told so. */
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

function whenOf(slotMs: number, span: Span): string {
  return span === "hour" ? HOUR.format(slotMs) : DAY.format(slotMs);
}

/** A bar for each slot, in below and out above it, drawn to the greatest of them. */
export function Plot({ slots, span, label }: PlotProps) {
  const [first, last] = [slots[0], slots.at(-1)];
  if (first === undefined || last === undefined) return null;
  const top = Math.max(1, ...slots.map(({ bytesIn, bytesOut }) => bytesIn + bytesOut));
  const step = WIDTH / slots.length;
  return (
    <figure className="plot">
      <figcaption className="plot-top quiet">{formatBytes(top)}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {slots.map(({ slotMs, bytesIn, bytesOut, visitors }, index) => {
          const [down, up] = [(bytesIn / top) * HEIGHT, (bytesOut / top) * HEIGHT];
          const place = { x: index * step + (step * (1 - BAR)) / 2, width: step * BAR };
          return (
            <g key={slotMs}>
              <title>
                {whenOf(slotMs, span)}: {formatBytes(bytesIn)} in, {formatBytes(bytesOut)} out,{" "}
                {count(visitors, "visitor")}
              </title>
              {/* The whole height tells its figures, not only the bar. */}
              <rect className="plot-place" x={index * step} y={0} width={step} height={HEIGHT} />
              <rect className="plot-in" {...place} y={HEIGHT - down} height={down} />
              <rect className="plot-out" {...place} y={HEIGHT - down - up} height={up} />
            </g>
          );
        })}
      </svg>
      <div className="plot-foot quiet">
        <span>{whenOf(first.slotMs, span)}</span>
        <span className="plot-key">
          <span className="key-in">In</span> <span className="key-out">Out</span>
        </span>
        <span>{whenOf(last.slotMs, span)}</span>
      </div>
    </figure>
  );
}
