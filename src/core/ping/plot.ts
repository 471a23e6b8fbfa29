import { type Axis, axisFor } from "./axis.ts";

export interface PlotSeries {
  readonly label: string;
  /** Milliseconds, in the order of sending; null = lost. */
  readonly points: readonly (number | null)[];
}

export interface PlotOptions {
  /** Of the terminal. Below `MIN_PLOT_COLUMNS` nothing is drawn. */
  readonly columns: number;
  /** Braille, four heights a line; else ASCII, one. */
  readonly unicode: boolean;
  /** Colours what belongs to the series of this number; absent = no colours. */
  readonly paint?: (series: number, text: string) => string;
}

export const MIN_PLOT_COLUMNS = 40;
/** Lines of the plot itself, without its axis and legend. */
const ROWS = 12;
/** A probe is drawn no wider than this: ten of them need no wide terminal. */
const MAX_CELLS_A_PROBE = 8;

/** How a series is told from the others without colours. */
interface Stroke {
  /** A dot stands at every so many: 2 is a dotted line, 1 a whole one. */
  readonly dotsApart: number;
  readonly sample: { readonly unicode: string; readonly ascii: string };
  readonly ascii: string;
  readonly lost: { readonly unicode: string; readonly ascii: string };
}

const STROKES: readonly Stroke[] = [
  {
    dotsApart: 2,
    sample: { unicode: "⠂⠂⠂", ascii: "..." },
    ascii: ".",
    lost: { unicode: "○", ascii: "o" },
  },
  {
    dotsApart: 1,
    sample: { unicode: "⠒⠒⠒", ascii: "===" },
    ascii: "=",
    lost: { unicode: "×", ascii: "x" },
  },
];
export const MAX_PLOT_SERIES = STROKES.length;
/** Where two series are in one place and only one sign has room. */
const ASCII_BOTH = "#";

const BORDER = {
  unicode: { side: "│", tick: "┤", corner: "└", floor: "─" },
  ascii: { side: "|", tick: "+", corner: "+", floor: "-" },
} as const;

/** Of a braille cell (Unicode 2800–28FF): the bit of the dot in each of its two columns, from the top. */
const BRAILLE_BASE = 0x2800;
const DOTS = { wide: 2, high: 4 } as const;
const BRAILLE_BITS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** What is drawn in one cell: for each series the dots, as braille bits; in ASCII any bit is the sign. */
type Cell = readonly [number, number];

/**
 * The probes as steps from left to right, one under the other at the same time, over an axis in milliseconds; lost
 * probes are marked in a line of their own. The same input gives the same lines. Empty when nothing can be drawn.
 * At most MAX_PLOT_SERIES series.
 */
export function plotLines(series: readonly PlotSeries[], options: PlotOptions): string[] {
  const drawn = series.slice(0, MAX_PLOT_SERIES);
  const values = drawn.flatMap(({ points }) => points.filter((ms) => ms !== null));
  const count = Math.max(0, ...drawn.map(({ points }) => points.length));
  if (options.columns < MIN_PLOT_COLUMNS || values.length === 0) return [];
  const axis = axisFor(values);
  const gutter = Math.max("lost".length, ...axis.ticks.map(({ label }) => label.length));
  // The gutter, a space, the axis itself, and one column left free at the right end of the terminal.
  const cells = cellsFor(count, options.columns - gutter - 3, options.unicode ? DOTS.wide : 1);
  const canvas = new Canvas(drawn, { axis, cells, count, ...options });
  return [
    `${"ms".padStart(gutter)}${axis.kind === "log" ? "  (logarithmic)" : ""}`,
    ...canvas.body(gutter),
    ...canvas.losses(gutter),
    canvas.floor(gutter),
    probeNumbers(count, cells, gutter),
    ...legend(drawn, options),
  ];
}

/** As many of `most` as give every probe the same width; all of them when there are more probes than dots. */
function cellsFor(count: number, most: number, dotsInACell: number): number {
  const dotsForEach = Math.min(Math.floor((most * dotsInACell) / count), MAX_CELLS_A_PROBE * dotsInACell);
  return dotsForEach === 0 ? most : Math.ceil((dotsForEach * count) / dotsInACell);
}

interface Frame extends PlotOptions {
  readonly axis: Axis;
  readonly cells: number;
  readonly count: number;
}

class Canvas {
  readonly #series: readonly PlotSeries[];
  readonly #frame: Frame;
  /** Heights and widths of a cell in dots. */
  readonly #high: number;
  readonly #wide: number;
  readonly #rows: Cell[][];

  constructor(series: readonly PlotSeries[], frame: Frame) {
    this.#series = series;
    this.#frame = frame;
    this.#high = frame.unicode ? DOTS.high : 1;
    this.#wide = frame.unicode ? DOTS.wide : 1;
    this.#rows = Array.from({ length: ROWS }, () => Array.from({ length: frame.cells }, (): Cell => [0, 0]));
    series.forEach(({ points }, number) => {
      points.forEach((ms, at) => {
        if (ms !== null) this.#step(number, at, ms);
      });
    });
  }

  /** The dots from `from` to `to`, this one left out, that stand for the probe; at least one. */
  #span(at: number): { readonly from: number; readonly to: number } {
    const dots = this.#frame.cells * this.#wide;
    const { count } = this.#frame;
    // A whole number for each, so that a last odd dot is nobody's.
    const forEach = dots < count ? dots / count : Math.floor(dots / count);
    const from = Math.floor(at * forEach);
    const next = Math.floor((at + 1) * forEach);
    // A gap shows where one probe ends, when there is room for it.
    const gap = next - from > 2 * this.#wide ? this.#wide : 0;
    return { from, to: Math.max(from + 1, next - gap) };
  }

  /** From the top, in dots. */
  #height(ms: number): number {
    const most = ROWS * this.#high - 1;
    return Math.round((1 - this.#frame.axis.place(ms)) * most);
  }

  #step(number: number, at: number, ms: number): void {
    const { from, to } = this.#span(at);
    const height = this.#height(ms);
    const apart = this.#frame.unicode ? (STROKES[number]?.dotsApart ?? 1) : 1;
    // A probe that is narrower than the distance still has its dot.
    for (let dot = from; dot < to; dot++) this.#set(number, dot - (dot % apart), height);
  }

  #set(number: number, dot: number, height: number): void {
    const row = this.#rows[Math.floor(height / this.#high)];
    const at = Math.floor(dot / this.#wide);
    const cell = row?.[at];
    if (row === undefined || cell === undefined) return;
    const bit = this.#frame.unicode ? (BRAILLE_BITS[dot % 2]?.[height % this.#high] ?? 0) : 1;
    row[at] = number === 0 ? [cell[0] | bit, cell[1]] : [cell[0], cell[1] | bit];
  }

  /** The cells of a row as text, what belongs to one series painted at once. Where both are, it is the second's colour. */
  #text(row: readonly Cell[]): string {
    let text = "";
    let run = { series: -1, signs: "" };
    const flush = () => {
      text += run.series < 0 ? run.signs : this.#paint(run.series, run.signs);
    };
    for (const [first, second] of row) {
      const series = second !== 0 ? 1 : first !== 0 ? 0 : -1;
      if (series !== run.series) {
        flush();
        run = { series, signs: "" };
      }
      run.signs += this.#sign(first, second);
    }
    flush();
    return text;
  }

  #sign(first: number, second: number): string {
    if (first === 0 && second === 0) return " ";
    if (this.#frame.unicode) return String.fromCodePoint(BRAILLE_BASE | first | second);
    if (first !== 0 && second !== 0) return ASCII_BOTH;
    return STROKES[second === 0 ? 0 : 1]?.ascii ?? ASCII_BOTH;
  }

  #paint(number: number, text: string): string {
    return this.#frame.paint?.(number, text) ?? text;
  }

  get #border() {
    return BORDER[this.#frame.unicode ? "unicode" : "ascii"];
  }

  body(gutter: number): string[] {
    const labels = new Map<number, string>();
    for (const { ms, label } of this.#frame.axis.ticks) labels.set(Math.floor(this.#height(ms) / this.#high), label);
    return this.#rows.map((row, at) => {
      const label = labels.get(at);
      const side = label === undefined ? this.#border.side : this.#border.tick;
      return `${(label ?? "").padStart(gutter)} ${side}${this.#text(row)}`.trimEnd();
    });
  }

  /** A line for each series that lost probes. */
  losses(gutter: number): string[] {
    return this.#series.flatMap(({ points }, number) => {
      if (!points.includes(null)) return [];
      const mark = lostMark(number, this.#frame.unicode);
      const signs = Array.from({ length: this.#frame.cells }, () => " ");
      points.forEach((ms, at) => {
        const { from, to } = this.#span(at);
        if (ms === null) signs[Math.floor((from + to - 1) / 2 / this.#wide)] = this.#paint(number, mark);
      });
      return [`${"lost".padStart(gutter)} ${this.#border.side}${signs.join("")}`.trimEnd()];
    });
  }

  floor(gutter: number): string {
    return `${" ".repeat(gutter)} ${this.#border.corner}${this.#border.floor.repeat(this.#frame.cells)}`;
  }
}

/** `1   probe   10`, under the first and the last. */
function probeNumbers(count: number, cells: number, gutter: number): string {
  const [first, last] = ["1", `${count}`];
  const room = cells - first.length - last.length;
  const word = room >= "probe".length + 2 ? "probe" : "";
  const before = Math.floor((room - word.length) / 2);
  const middle = `${" ".repeat(Math.max(0, before))}${word}`.padEnd(Math.max(1, room));
  return `${" ".repeat(gutter + 2)}${count === 1 ? first : `${first}${middle}${last}`}`;
}

/** On one line when it has room there, else a line for each. */
function legend(series: readonly PlotSeries[], { columns, unicode, paint }: PlotOptions): string[] {
  const parts = series.map(({ label, points }, number) => {
    const sample = STROKES[number]?.sample[unicode ? "unicode" : "ascii"] ?? "";
    const mark = lostMark(number, unicode);
    const lost = points.includes(null) ? `, ${mark} lost` : "";
    return {
      length: sample.length + 1 + label.length + lost.length,
      text: `${paint?.(number, sample) ?? sample} ${label}${lost}`,
    };
  });
  const length = parts.reduce((sum, part) => sum + part.length + 2, 0);
  const texts = parts.map(({ text }) => text);
  return (length < columns ? [texts.join("  ")] : texts).map((line) => `  ${line}`);
}

function lostMark(number: number, unicode: boolean): string {
  return STROKES[number]?.lost[unicode ? "unicode" : "ascii"] ?? "";
}
