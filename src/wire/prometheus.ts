/** Prometheus' text exposition format, version 0.0.4: what a scrape answers. Only the writing side: we scrape nobody. */

export type MetricType = "counter" | "gauge";

export interface MetricSample {
  /** No two samples of a family have the same. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricFamily {
  /** `[a-zA-Z_][a-zA-Z0-9_]*`, as label names. */
  readonly name: string;
  readonly type: MetricType;
  /** One sentence. */
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

/** The answer's Content-Type. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Families without a sample are left out. */
export function encodeMetrics(families: Iterable<MetricFamily>): string {
  const lines: string[] = [];
  for (const { name, type, help, samples } of families) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of samples) lines.push(`${name}${labelsText(labels)} ${valueText(value)}`);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function labelsText(labels: MetricSample["labels"]): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Go's ParseFloat reads it: JavaScript's own text of finite numbers, and its words for the others. */
function valueText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

function escapeHelp(text: string): string {
  return plain(text).replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return NEEDS_ESCAPE.test(text)
    ? plain(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
    : text;
}

const NEEDS_ESCAPE = /["\\\p{Cc}\p{Cs}]/u;

/**
 * The format takes every character but the three that are escaped; Prometheus' own reader takes a zero byte for the end, and
 * names that devices and apps choose are shown on people's screens: other control characters do not get through.
 */
function plain(text: string): string {
  return text.toWellFormed().replace(/[^\P{Cc}\n]/gu, "\uFFFD");
}
