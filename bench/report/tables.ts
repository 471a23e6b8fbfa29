import { PLANES, type Plane } from "../measures/measure.ts";
import { type Cell, compare, median, type Results, type Row, type Run } from "./results.ts";

const TITLE: Readonly<Record<Plane, string>> = {
  remote: "Remote forwards (visitor → relay → agent → service)",
  direct: "Direct forwards (visitor → relay's machine → service)",
  gateway: "Gateway (visitor → router → LAN client)",
};
const COLUMN_OF_COMPARISON = "ours ÷ best peer";

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly lines: readonly (readonly string[])[];
}

/** Three significant digits, and thousands kept whole. */
function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString("en");
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return size >= 1 ? value.toFixed(2) : value.toFixed(3);
}

function cellText(cell: Cell | undefined): string {
  if (cell === undefined) return "–";
  const middle = median(cell.samples);
  return middle === null ? "failed" : number(middle);
}

function comparisonText(row: Row, results: Results): string {
  const comparison = compare(row, results);
  if (comparison === null) return "";
  const { ahead, best } = comparison;
  return `${Number.isFinite(ahead) ? ahead.toFixed(2) : "∞"} (${best})`;
}

/** One table a plane; planes without rows are left out. */
export function tables(results: Results): Table[] {
  return PLANES.flatMap((plane) => {
    const rows = results.rows.filter((row) => row.plane === plane);
    if (rows.length === 0) return [];
    const columns = results.columns.filter((column) => column.plane === plane);
    const heads = columns.map(({ peer, encryption }) =>
      plane === "remote" && encryption === null ? `${peer} (plaintext)` : peer,
    );
    return {
      title: TITLE[plane],
      head: ["figure", "unit", ...heads, COLUMN_OF_COMPARISON],
      lines: rows.map((row) => [
        row.figure.label,
        row.figure.unit,
        ...columns.map(({ peer }) => cellText(row.cells.get(peer))),
        comparisonText(row, results),
      ]),
    };
  });
}

const NUMBERS_FROM = 2;

export function asText({ title, head, lines }: Table): string {
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0)));
  const render = (line: readonly string[]) =>
    line
      .map((text, column) => (column < NUMBERS_FROM ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
      .join("  ")
      .trimEnd();
  return [title, render(head), widths.map((width) => "─".repeat(width)).join("  "), ...lines.map(render)].join("\n");
}

function asMarkdown({ title, head, lines }: Table): string {
  const render = (line: readonly string[]) => `| ${line.join(" | ")} |`;
  const rule = head.map((_, column) => (column < NUMBERS_FROM ? "---" : "---:"));
  return [`## ${title}`, "", ...[head, rule, ...lines].map(render)].join("\n");
}

/** Versions, absent peers and failures: what a reader needs beside the numbers. */
export function notes(results: Results): string[] {
  const versions = new Map(results.columns.map(({ peer, version, encryption }) => [peer, { version, encryption }]));
  const failures = results.rows.flatMap((row) =>
    [...row.cells].flatMap(([peer, { problem, samples }]) =>
      problem === null
        ? []
        : [`${peer}, ${row.measure} (${row.plane}): ${samples.length} of ${roundsOf(row, results)} rounds; ${problem}`],
    ),
  );
  const encrypted = new Map(
    results.columns.filter(({ plane }) => plane === "remote").map(({ peer, encryption }) => [peer, encryption]),
  );
  return [
    ...[...versions].map(([peer, { version }]) => {
      const how = encrypted.get(peer);
      return `${peer} ${version}${how === undefined ? "" : how === null ? ", remote without encryption (not ranked)" : `, remote with ${how}`}`;
    }),
    ...[...results.absent].map(([peer, why]) => `${peer}: absent (${why})`),
    ...new Set(failures),
  ];
}

function roundsOf({ measure }: Row, { runs }: Results): number {
  return runs.find(({ measures }) => measures.includes(measure))?.rounds ?? 0;
}

/** How the measures of one run were taken. */
export function asSentence({ command, startedAt, rounds, seconds, measures }: Run): string {
  return `\`${command}\` on ${startedAt.slice(0, 10)}: ${measures.join(", ")}; medians over ${rounds} rounds, each load ${seconds} s.`;
}

export function asPage(results: Results): string {
  return [
    "# Benchmarks",
    "",
    `Machine: ${results.machine}. Visitor, relay and agent stand in network namespaces of their own on that one machine,`,
    "so they share its processors; in each round the programs took turns. The last column is above 1 where Hatchway is",
    "ahead of the best peer, also where lower is better. [bench/README.md](../bench/README.md) says how each figure is",
    "measured, and [performance.md](performance.md) what is behind those where a peer is ahead.",
    "",
    ...results.runs.map((run) => `- ${asSentence(run)}`),
    "",
    ...tables(results).flatMap((table) => [asMarkdown(table), ""]),
    "## Versions and notes",
    "",
    ...notes(results).map((note) => `- ${note}`),
    "",
  ].join("\n");
}
