import { describe, expect, test } from "bun:test";
import { ForwardSeries, OTHER, type SeriesReport, type SeriesRow } from "./series.ts";

interface Given extends Partial<Omit<SeriesRow, "counts">> {
  readonly visitors?: number;
}

const ZERO = { visitorsTotal: 0, bytesIn: 0, bytesOut: 0, refusedTotal: 0, datagramsDropped: 0 };

/** A row whose counts are all the same number. */
function row(forward: string, { visitors = 0, ...more }: Given = {}): SeriesRow {
  return {
    forward,
    device: "den",
    source: `den/${forward}`,
    counts: {
      visitorsTotal: visitors,
      bytesIn: visitors,
      bytesOut: visitors,
      refusedTotal: visitors,
      datagramsDropped: visitors,
    },
    visitorsOpen: 0,
    isUp: true,
    answerMs: () => null,
    ...more,
  };
}

function round(series: ForwardSeries, rows: readonly SeriesRow[]): SeriesReport {
  const one = series.begin();
  for (const each of rows) one.add(each);
  return one.end();
}

const totals = ({ series }: SeriesReport) =>
  Object.fromEntries(series.map(({ forward, visitorsTotal }) => [forward, visitorsTotal]));

describe("series of forwards", () => {
  test("each has its own: counts, open visits, whether it is up, answer times", () => {
    const answer = { p50: 1, p90: 2 };
    const given = row("web", { visitors: 5, visitorsOpen: 2, isUp: false, answerMs: () => answer });
    expect(round(new ForwardSeries(), [given])).toEqual({
      series: [{ forward: "web", device: "den", ...given.counts, visitorsOpen: 2, isUp: false, answerMs: answer }],
      unlisted: 0,
      total: { ...given.counts, visitorsOpen: 2 },
    });
  });

  test("of more than so many the rest is summed, without what has no sum", () => {
    const series = new ForwardSeries(2);
    const rows = ["a", "b", "c", "d"].map((name, at) => row(name, { visitors: at + 1, visitorsOpen: 1 }));
    const report = round(series, rows);
    expect(totals(report)).toEqual({ a: 1, b: 2, [OTHER]: 7 });
    expect(report.series.at(-1)).toMatchObject({ device: "", visitorsOpen: 2, isUp: null, answerMs: null });
    expect(report.unlisted).toBe(2);
    expect(report.total).toMatchObject({ visitorsTotal: 10, visitorsOpen: 4 });
  });

  test("who has a series keeps it, whoever comes before it in the list", () => {
    const series = new ForwardSeries(2);
    round(series, [row("c"), row("d")]);
    expect(
      Object.keys(
        totals(
          round(
            series,
            ["a", "b", "c", "d"].map((name) => row(name)),
          ),
        ),
      ),
    ).toEqual(["c", "d", OTHER]);
  });

  test("a place that is free goes to the next, in the round after", () => {
    const series = new ForwardSeries(1);
    round(series, [row("a"), row("b", { visitors: 3 })]);
    expect(totals(round(series, [row("b", { visitors: 4 })]))).toEqual({ [OTHER]: 4 });
    // What it counted before is in the sum already.
    expect(totals(round(series, [row("b", { visitors: 6 })]))).toEqual({ b: 2 });
  });

  test("answer times are asked for listed rows alone", () => {
    const asked: string[] = [];
    const ask = (name: string) =>
      row(name, {
        answerMs: () => {
          asked.push(name);
          return null;
        },
      });
    round(new ForwardSeries(1), [ask("a"), ask("b")]);
    expect(asked).toEqual(["a"]);
  });
});

describe("a sum never goes down", () => {
  test("when a forward leaves it", () => {
    const series = new ForwardSeries(0);
    round(series, [row("a", { visitors: 10 }), row("b", { visitors: 5 })]);
    expect(totals(round(series, [row("b", { visitors: 6 })]))).toEqual({ [OTHER]: 16 });
    expect(round(series, []).total.visitorsTotal).toBe(16);
  });

  test("when what counts begins again", () => {
    const series = new ForwardSeries();
    round(series, [row("a", { visitors: 10 })]);
    expect(totals(round(series, [row("a", { visitors: 4 })]))).toEqual({ a: 14 });
    expect(totals(round(series, [row("a", { visitors: 2, source: "opened anew" })]))).toEqual({ a: 16 });
  });

  test("in random histories, and it is what came in all", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const series = new ForwardSeries(3);
    const counts = new Map<number, number>();
    let came = 0;
    let before = 0;
    let next = 0;
    for (let step = 0; step < 500; step++) {
      for (const id of counts.keys()) if (random(10) === 0) counts.delete(id);
      while (counts.size < random(9)) counts.set(next++, 0);
      for (const [id, count] of counts) {
        const more = random(5);
        came += more;
        counts.set(id, count + more);
      }
      const rows = [...counts].map(([id, visitors]) => row(`f${id}`, { visitors, source: id }));
      const { total } = round(series, rows);
      expect(total.visitorsTotal).toBe(came);
      expect(total.visitorsTotal).toBeGreaterThanOrEqual(before);
      before = total.visitorsTotal;
    }
    expect(came).toBeGreaterThan(1_000);
  });
});

describe("several forwards under one pair of labels", () => {
  test("of two accounts: one series, up when both are", () => {
    const report = round(new ForwardSeries(), [
      row("web", { visitors: 1, source: 1 }),
      row("web", { visitors: 2, source: 2, isUp: false }),
    ]);
    expect(report.series).toMatchObject([{ forward: "web", visitorsTotal: 3, isUp: false }]);
  });

  test("the same names on two devices are two", () => {
    const report = round(new ForwardSeries(), [row("web"), row("web", { device: "attic", source: "x" })]);
    expect(report.series.map(({ device }) => device)).toEqual(["den", "attic"]);
  });

  test("members of a group share what counts, which is told once", () => {
    const shared = {};
    const report = round(new ForwardSeries(), [
      row("web", { visitors: 4, source: shared }),
      row("web", { visitors: 4, source: shared, device: "attic" }),
    ]);
    expect(report.series.map(({ visitorsTotal }) => visitorsTotal)).toEqual([4, 0]);
    expect(report.total.visitorsTotal).toBe(4);
  });

  test("without anything that counts it is there, at nothing", () => {
    expect(round(new ForwardSeries(), [row("off", { source: null, isUp: false })]).series).toMatchObject([
      { forward: "off", ...ZERO, isUp: false },
    ]);
  });
});
