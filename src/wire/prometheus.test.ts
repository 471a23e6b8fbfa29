import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseScrape } from "../../test/fixtures/prometheus-text.ts";
import { encodeMetrics, type MetricFamily } from "./prometheus.ts";

const family = (more: Partial<MetricFamily>): MetricFamily => ({
  name: "a_total",
  type: "counter",
  help: "Help.",
  samples: [],
  ...more,
});
const one = (labels: Record<string, string>, value = 1) => encodeMetrics([family({ samples: [{ labels, value }] })]);

test("families come with their help and type, one sample a line", () => {
  const text = encodeMetrics([
    family({
      samples: [
        { labels: { direction: "in", forward: "web" }, value: 12 },
        { labels: {}, value: 0.5 },
      ],
    }),
    family({ name: "empty" }),
    family({ name: "b", type: "gauge", help: 'Two\nlines, a \\ and a ".', samples: [{ labels: {}, value: -1 }] }),
  ]);
  expect(text).toBe(
    [
      "# HELP a_total Help.",
      "# TYPE a_total counter",
      'a_total{direction="in",forward="web"} 12',
      "a_total 0.5",
      '# HELP b Two\\nlines, a \\\\ and a ".',
      "# TYPE b gauge",
      "b -1",
      "",
    ].join("\n"),
  );
});

test("nothing to tell is nothing", () => {
  expect(encodeMetrics([])).toBe("");
  expect(encodeMetrics([family({})])).toBe("");
});

test.each([
  ["a quote", 'a"b', 'a\\"b'],
  ["a backslash", "a\\b", "a\\\\b"],
  ["a new line", "a\nb", "a\\nb"],
  ["a backslash and an n, which is no new line", "a\\nb", "a\\\\nb"],
  ["what would begin another sample", '"} 1\nother_total{x="', '\\"} 1\\nother_total{x=\\"'],
  ["letters of the world", "Tür 🚪", "Tür 🚪"],
  ["a zero byte, at which Prometheus would stop", "a\0b", "a\uFFFDb"],
  ["a carriage return and an escape", "a\r\u001b[2Kb", "a\uFFFD\uFFFD[2Kb"],
  ["half a character", "a\ud800b", "a\uFFFDb"],
  ["nothing", "", ""],
])("a label with %s", (_what, value, written) => {
  expect(one({ name: value })).toEndWith(`a_total{name="${written}"} 1\n`);
});

test.each([
  [0, "0"],
  [1_764_000_000.25, "1764000000.25"],
  [Number.MAX_SAFE_INTEGER, "9007199254740991"],
  [1e21, "1e+21"],
  [1e-7, "1e-7"],
  [Number.POSITIVE_INFINITY, "+Inf"],
  [Number.NEGATIVE_INFINITY, "-Inf"],
  [Number.NaN, "NaN"],
])("the value %p", (value, written) => {
  expect(one({}, value)).toEndWith(`a_total ${written}\n`);
});

test("whatever is in labels and help, a reader gets the same samples", () => {
  const labels = fc.dictionary(fc.constantFrom("a", "b_c", "D9"), fc.string({ unit: "binary" }));
  const samples = fc.uniqueArray(fc.record({ labels, value: fc.double() }), {
    selector: (sample) => encodeMetrics([family({ samples: [{ labels: sample.labels, value: 0 }] })]),
  });
  fc.assert(
    fc.property(samples, fc.string({ unit: "binary" }), (given, help) => {
      const read = parseScrape(encodeMetrics([family({ samples: given, help })])).get("a_total");
      expect(read?.samples ?? []).toEqual(
        given.map(({ labels, value }) => ({
          labels: Object.fromEntries(Object.entries(labels).map(([name, text]) => [name, shown(text)])),
          value: value === 0 ? 0 : value,
        })),
      );
    }),
    { seed: 5 },
  );
});

const shown = (text: string) => text.toWellFormed().replace(/[^\P{Cc}\n]/gu, "\uFFFD");
