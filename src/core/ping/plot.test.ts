import { describe, expect, test } from "bun:test";
import { newRandom } from "../../../test/fuzz/random.ts";
import { MIN_PLOT_COLUMNS, type PlotOptions, type PlotSeries, plotLines } from "./plot.ts";

const UNICODE: PlotOptions = { columns: 100, unicode: true };
const ASCII: PlotOptions = { columns: 100, unicode: false };
const BRAILLE = /[\u2801-\u28ff]/;
/** The dots of a braille cell from the top, left and right column. */
const LEFT_BITS = [0x01, 0x02, 0x04, 0x40];
const RIGHT_BITS = [0x08, 0x10, 0x20, 0x80];

function series(direct: readonly (number | null)[], forwarded: readonly (number | null)[]): PlotSeries[] {
  return [
    { label: "direct", points: direct },
    { label: "forwarded", points: forwarded },
  ];
}

interface Row {
  readonly label: string;
  readonly cells: string;
}

/** The lines of the plot itself: what stands left of the axis, and right of it. */
function body(lines: readonly string[]): Row[] {
  return lines.flatMap((line) => {
    const match = /^( *[\d.]*) [│┤|+](.*)$/u.exec(line);
    return match === null || /^ *\+?[-─]*$/.test(line) ? [] : [{ label: match[1]!.trim(), cells: match[2]! }];
  });
}

/** How high the dots stand in the columns from `from` to `to`, in dots from the top. */
function heights(rows: readonly Row[], from: number, to: number): number[] {
  return rows.flatMap(({ cells }, row) =>
    [...cells.slice(from, to)].flatMap((cell) => {
      const bits = (cell.codePointAt(0) ?? 0) - 0x2800;
      if (bits <= 0) return [];
      return [...LEFT_BITS, ...RIGHT_BITS].flatMap((bit, at) => ((bits & bit) === 0 ? [] : [row * 4 + (at % 4)]));
    }),
  );
}

const repeated = (count: number, ms: number): number[] => Array.from({ length: count }, () => ms);

describe("what is slower stands higher", () => {
  for (const { name, values } of [
    { name: "on a linear axis", values: [10, 12, 15, 20, 30, 45, 60, 90] },
    { name: "on a logarithmic axis", values: [0.3, 1, 3, 10, 30, 100, 300, 1_000] },
  ]) {
    test(`${name}: a rising series rises`, () => {
      const rows = body(plotLines([{ label: "direct", points: values }], UNICODE));
      const tops = values.map((_, at) => Math.min(...heights(rows, at * 8, (at + 1) * 8)));
      expect(tops).toEqual(tops.toSorted((a, b) => b - a));
      expect(new Set(tops).size).toBe(values.length);
    });
  }

  test("a forwarded path that takes 20 ms more is above the direct one in every column", () => {
    const rows = body(plotLines(series(repeated(10, 4), repeated(10, 24)), UNICODE));
    for (let at = 0; at < 80; at++) {
      const found = new Set(heights(rows, at, at + 1));
      if (found.size === 0) continue;
      expect(found.size).toBe(2);
    }
    const found = heights(rows, 0, 80);
    expect(Math.max(...found) - Math.min(...found)).toBeGreaterThan(20);
  });

  test("of two equal paths both are in one line, and ASCII says so", () => {
    expect(new Set(heights(body(plotLines(series([5, 5], [5, 5]), UNICODE)), 0, 80)).size).toBe(1);
    expect(body(plotLines(series([5, 5], [5, 5]), ASCII)).filter(({ cells }) => cells !== "")).toEqual([
      { label: expect.any(String), cells: expect.stringMatching(/^#+ #+$/) },
    ]);
  });
});

describe("the axis", () => {
  for (const { name, points } of [
    { name: "linear", points: [3, 8, 14, 19.5] },
    { name: "logarithmic", points: [0.4, 3, 22, 180] },
  ]) {
    test(`${name}: labels fall from top to bottom, around the values`, () => {
      const lines = plotLines([{ label: "direct", points }], UNICODE);
      const labels = body(lines).flatMap(({ label }) => (label === "" ? [] : [Number(label)]));
      expect(labels).toEqual(labels.toSorted((a, b) => b - a));
      expect(labels.length).toBeGreaterThanOrEqual(3);
      expect(lines[0]).toContain("ms");
      expect(lines[0]?.includes("logarithmic")).toBe(name === "logarithmic");
    });
  }

  test("a value stands in the line of its label", () => {
    for (const points of [
      [10, 20, 30, 40],
      [1, 2, 5, 10, 20, 50],
    ]) {
      const rows = body(plotLines([{ label: "direct", points }], UNICODE));
      const labelled = rows.filter(({ label }) => points.includes(Number(label)));
      expect(labelled.length).toBeGreaterThanOrEqual(points.length - 1);
      for (const { label, cells } of labelled) {
        const at = points.indexOf(Number(label)) * 8;
        expect({ label, drawn: BRAILLE.test(cells.slice(at, at + 8)) }).toEqual({ label, drawn: true });
      }
    }
  });

  test("the first and the last probe have their number", () => {
    const numbers = plotLines(series(repeated(10, 4), repeated(10, 24)), UNICODE).at(-2);
    expect(numbers).toMatch(/^ +1 +probe +10$/);
    expect(
      plotLines([{ label: "direct", points: [4] }], UNICODE)
        .at(-2)
        ?.trim(),
    ).toBe("1");
  });
});

describe("losses", () => {
  for (const options of [UNICODE, ASCII]) {
    const marks = options.unicode ? { direct: "○", forwarded: "×" } : { direct: "o", forwarded: "x" };
    test(`are marked under their probe, each series in its line (${options.unicode ? "braille" : "ASCII"})`, () => {
      const direct = [4, 4, null, 4, 4];
      const forwarded = [24, null, null, 24, 24];
      const lost = plotLines(series(direct, forwarded), options).filter((line) => line.startsWith("lost "));
      expect(lost).toHaveLength(2);
      const columns = (line: string, mark: string) =>
        [...line.slice("lost |".length)].flatMap((sign, at) => (sign === mark ? [Math.floor(at / 8)] : []));
      expect(columns(lost[0]!, marks.direct)).toEqual([2]);
      expect(columns(lost[1]!, marks.forwarded)).toEqual([1, 2]);
    });

    test(`that did not happen are not mentioned (${options.unicode ? "braille" : "ASCII"})`, () => {
      expect(plotLines(series([4, 4], [24, 24]), options).join("\n")).not.toContain("lost");
    });
  }

  test("leave a gap in the series", () => {
    const rows = body(plotLines([{ label: "direct", points: [4, null, 4] }], UNICODE));
    expect(heights(rows, 8, 16)).toEqual([]);
    expect(heights(rows, 16, 24)).not.toEqual([]);
  });
});

describe("the two series are told apart without colours", () => {
  test("direct is dotted: left dots only; forwarded is a line of both", () => {
    const cells = (all: readonly PlotSeries[]) =>
      body(plotLines(all, UNICODE)).flatMap((row) => [...row.cells].filter((cell) => BRAILLE.test(cell)));
    const bits = (cell: string) => (cell.codePointAt(0) ?? 0) - 0x2800;
    const right = RIGHT_BITS.reduce((all, bit) => all | bit, 0);
    const direct = cells(series(repeated(10, 4), []));
    expect(direct.length).toBeGreaterThan(60);
    expect(direct.every((cell) => (bits(cell) & right) === 0)).toBe(true);
    const forwarded = cells(series([], repeated(10, 4)));
    expect(forwarded.every((cell) => (bits(cell) & right) !== 0 && (bits(cell) & ~right) !== 0)).toBe(true);
  });

  test("the legend shows what each looks like", () => {
    expect(plotLines(series([4], [24]), UNICODE).at(-1)).toBe("  ⠂⠂⠂ direct  ⠒⠒⠒ forwarded");
    expect(plotLines(series([4], [24]), ASCII).at(-1)).toBe("  ... direct  === forwarded");
    expect(plotLines(series([4, null], [null, 24]), { ...UNICODE, columns: 40 }).slice(-2)).toEqual([
      "  ⠂⠂⠂ direct, ○ lost",
      "  ⠒⠒⠒ forwarded, × lost",
    ]);
  });

  test("colours are laid over the same text", () => {
    const paint = (number: number, text: string) => `<${number}>${text}</>`;
    const all = series([4, null, 9, 30], [24, 25, null, 31]);
    for (const options of [UNICODE, ASCII]) {
      const painted = plotLines(all, { ...options, paint });
      expect(painted.map((line) => line.replaceAll(/<\d>|<\/>/g, "").trimEnd())).toEqual(plotLines(all, options));
      expect(painted.join("")).toContain("<0>");
      expect(painted.join("")).toContain("<1>");
    }
  });
});

describe("no line is wider than the terminal", () => {
  test("at any width, of any count, whatever the values are", () => {
    const random = newRandom(11);
    for (let run = 0; run < 400; run++) {
      const columns = MIN_PLOT_COLUMNS + random.below(160);
      const count = [1, 2, 10, 37, 1_000][random.below(5)]!;
      const points = (size: number) =>
        Array.from({ length: count }, () => (random.below(10) === 0 ? null : (random.below(1_000) / 10) * size));
      const all = series(points(10 ** (random.below(6) - 2)), points(10 ** (random.below(6) - 2)));
      for (const unicode of [true, false]) {
        const lines = plotLines(all, { columns, unicode });
        const widest = Math.max(0, ...lines.map((line) => [...line].length));
        expect({ columns, count, unicode, fits: widest < columns }).toEqual({ columns, count, unicode, fits: true });
      }
    }
  });

  test("ten probes take no more of a wide one than they need", () => {
    const lines = plotLines(series(repeated(10, 4), repeated(10, 24)), { ...UNICODE, columns: 200 });
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThan(90);
  });
});

test("ASCII is ASCII", () => {
  const text = plotLines(series([4, null, 9], [24, 0.2, null]), ASCII).join("\n");
  expect(text).toMatch(/^[\x20-\x7e\n]+$/);
});

describe("nothing is drawn", () => {
  for (const { name, all, options } of [
    { name: "when nothing was answered", all: series([null, null], [null]), options: UNICODE },
    { name: "of no probes", all: series([], []), options: UNICODE },
    { name: "in a terminal that is too narrow", all: series([4], [24]), options: { ...UNICODE, columns: 39 } },
  ]) {
    test(name, () => expect(plotLines(all, options)).toEqual([]));
  }
});
