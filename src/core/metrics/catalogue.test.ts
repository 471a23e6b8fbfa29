import { expect, test } from "bun:test";
import { METRICS, type MetricName, MetricPage } from "./catalogue.ts";

const names = Object.keys(METRICS) as MetricName[];

/** Prometheus' "Metric and label naming", as `promtool check metrics` has it. */
test.each(names.map((name) => [name] as const))("%s is named by the rules", (name) => {
  const { type, help, labels } = METRICS[name];
  expect(name).toMatch(/^(hatchway|process)(_[a-z0-9]+)+$/);
  expect(name.endsWith("_total")).toBe(type === "counter");
  // Base units, at the end or before _total.
  expect(name).not.toMatch(/_(ms|milliseconds|kilobytes|kib|megabytes|bits|minutes|percent)(_|$)/);
  const units = name.replace(/_total$/, "").match(/(bytes|seconds)/g) ?? [];
  expect(units.every((unit) => name.replace(/_total$/, "").endsWith(unit))).toBe(true);
  expect(name).not.toMatch(/gauge|counter|histogram|summary/);
  expect(help).toMatch(/^[A-Z0-9].*\.$/);
  // Reserved for histograms, summaries and the server itself.
  expect(labels.filter((label) => ["le", "quantile", "job", "instance"].includes(label))).toEqual([]);
  expect(labels.every((label) => /^[a-z]+$/.test(label))).toBe(true);
});

test("no label is about a visitor or a secret", () => {
  const labels = new Set(names.flatMap((name) => [...METRICS[name].labels]));
  expect([...labels].toSorted()).toEqual([
    "device",
    "direction",
    "forward",
    "kind",
    "origin",
    "reason",
    "server",
    "state",
    "version",
  ]);
});

test("a page has its families in the catalogue's order, whatever order they came in", () => {
  const page = new MetricPage();
  page.add("hatchway_relay_forwards", 2, { state: "open" });
  page.add("hatchway_build_info", 1, { version: "1" });
  page.add("hatchway_relay_forwards", 1, { state: "away" });
  expect([...page.families()].map(({ name, samples }) => [name, samples.length])).toEqual([
    ["hatchway_build_info", 1],
    ["hatchway_relay_forwards", 2],
  ]);
});
