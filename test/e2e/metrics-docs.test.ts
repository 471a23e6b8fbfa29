import { describe, expect, test } from "bun:test";
import { METRICS, type MetricName } from "../../src/core/metrics/catalogue.ts";
import { MAX_SERIES } from "../../src/core/metrics/series.ts";
import { DROP_REASONS } from "../../src/dataplanes/nat/state.ts";
import { readConfig } from "../../src/roles/config/load.ts";
import { keysAt } from "../../src/roles/config/schema.ts";
import { readDocument } from "../fixtures/documents.ts";

/** docs/metrics.md and the Grafana dashboard against what the program tells. */
const DOCUMENT = readDocument("docs/metrics.md");
const DASHBOARD: Dashboard = JSON.parse(readDocument("docs/examples/grafana-hatchway.json"));
const NAMES = Object.keys(METRICS);
/** Of the server that scrapes, about the scrape. */
const SERVERS_OWN = ["up"];

interface Source {
  readonly type: string;
  readonly uid: string;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly datasource?: Source;
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly datasource: Source }[];
}
interface Dashboard {
  readonly title: string;
  readonly uid: string;
  readonly id: null;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly query: unknown }[];
  };
  readonly time: { readonly from: string; readonly to: string };
}

/** What an expression names: its words that are no function, no keyword, no label and no text. */
function metricsIn(expr: string): string[] {
  const plain = expr
    .replace(/"[^"]*"/g, "")
    .replace(/\{[^}]*\}/g, "")
    .replace(/\[[^\]]*\]/g, "")
    .replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, "");
  return [...plain.matchAll(/\b[a-zA-Z_:][\w:]*\b(?!\s*\()/g)].map(([word]) => word).filter((word) => !WORDS.has(word));
}
const WORDS = new Set(["or", "and", "unless", "sum", "min", "max", "count", "by", "bool"]);

/** The labels that selectors and groupings of an expression name. */
function labelsIn(expr: string): string[] {
  const selected = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, inner = ""]) =>
    [...inner.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
  );
  const grouped = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, inner = ""]) => inner.split(/,\s*/));
  return [...selected, ...grouped];
}

function check(expr: string): void {
  const metrics = metricsIn(expr);
  expect({ expr, unknown: metrics.filter((name) => !NAMES.includes(name) && !SERVERS_OWN.includes(name)) }).toEqual({
    expr,
    unknown: [],
  });
  const known = metrics.flatMap((name) => METRICS[name as MetricName]?.labels ?? []);
  const given: readonly string[] = ["job", "instance", ...known];
  expect({ expr, labels: labelsIn(expr).filter((label) => !given.includes(label)) }).toEqual({ expr, labels: [] });
}

describe("docs/metrics.md", () => {
  const rows = [...DOCUMENT.matchAll(/^\| `((?:hatchway|process)_\w+)` \| (\w+) \| (.*?) \| (.*) \|$/gm)].map(
    ([, name, type, labels = "", help]) => ({
      name,
      type,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label),
      help,
    }),
  );
  test("has a row for each metric, as the program tells it, and no others", () => {
    const wanted = NAMES.map((name) => {
      const { type, labels, help } = METRICS[name as MetricName];
      return { name, type: String(type), labels: [...labels], help };
    });
    expect(rows).toEqual(wanted as never);
  });

  test("its alerts name what there is", () => {
    const exprs = [...DOCUMENT.matchAll(/^\s+expr: (.+)$/gm)].map(([, expr = ""]) => expr);
    expect(exprs.length).toBeGreaterThan(4);
    for (const expr of exprs) check(expr);
  });

  test("has the keys of [metrics], and its example is right", async () => {
    const cells = [...DOCUMENT.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, key]) => key);
    expect(cells).toEqual([...keysAt(["metrics"])]);
    const [, example = ""] = /```toml\n([\s\S]*?)```/.exec(DOCUMENT) ?? [];
    expect((await readConfig(example, "/etc/hatchway.toml")).file.metrics).toEqual({
      listen: { host: "0.0.0.0", port: 9_464 },
      "token-file": "metrics-token",
    });
  });

  test("says how many forwards have their own series, and why a gateway drops", () => {
    expect(DOCUMENT).toContain(`At most ${MAX_SERIES.toLocaleString("en")} pairs`);
    const section = DOCUMENT.slice(DOCUMENT.indexOf("### Gateway"));
    expect(DROP_REASONS.filter((reason) => !section.includes(`\`${reason}\``))).toEqual([]);
  });
});

describe("docs/examples/grafana-hatchway.json", () => {
  const panels = DASHBOARD.panels.filter(({ type }) => type !== "row");
  const exprs = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

  test("has what Grafana wants of a dashboard", () => {
    expect(DASHBOARD).toMatchObject({ title: "Hatchway", uid: "hatchway", id: null });
    expect(DASHBOARD.schemaVersion).toBeGreaterThanOrEqual(39);
    expect(DASHBOARD.templating.list[0]).toMatchObject({ name: "datasource", type: "datasource", query: "prometheus" });
    expect(DASHBOARD.time.from).toStartWith("now-");
    const ids = DASHBOARD.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(DASHBOARD.panels.filter(({ title }) => title === "")).toEqual([]);
  });

  test("every panel asks the chosen source, by queries that are told apart", () => {
    expect(panels.length).toBeGreaterThan(20);
    for (const { title, datasource, targets = [] } of panels) {
      const sources = [datasource, ...targets.map((target) => target.datasource)];
      expect({ title, sources }).toEqual({
        title,
        sources: sources.map(() => ({ type: "prometheus", uid: `$${"{datasource}"}` })),
      });
      expect(targets.length).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
  });

  test("no panel lies over another, nor beyond the 24 columns", () => {
    const cells = new Set<string>();
    for (const { gridPos } of DASHBOARD.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x},${y}`)).toBe(false);
          cells.add(`${x},${y}`);
        }
      }
    }
  });

  test.each(exprs.map((expr) => [expr] as const))("%s names metrics and labels that there are", check);

  test("variables are used, and those that are used exist", () => {
    const known = DASHBOARD.templating.list.map(({ name }) => name);
    const used = [...JSON.stringify([panels, DASHBOARD.templating]).matchAll(/\$\{?([a-z]\w*)\}?/g)].map(
      ([, name]) => name,
    );
    expect([...new Set(used)].toSorted()).toEqual(known.toSorted());
    for (const { query } of DASHBOARD.templating.list) {
      const text = typeof query === "string" ? query : JSON.stringify(query);
      const [, metric] = /label_values\((\w+)/.exec(text) ?? [];
      if (metric !== undefined) expect(NAMES).toContain(metric);
    }
  });

  test("every metric that people may want to see is somewhere on it", () => {
    const shown = new Set(exprs.flatMap(metricsIn));
    expect(NAMES.filter((name) => !shown.has(name)).toSorted()).toEqual([
      "hatchway_gateway_forward_up",
      "hatchway_gateway_forward_visitors_total",
      "hatchway_gateway_forwards_unlisted",
      "hatchway_gateway_visitors_open",
      "hatchway_relay_forwards_unlisted",
    ]);
  });
});

test("the reader of expressions sees what is wrong", () => {
  expect(metricsIn('sum by (a) (rate(hatchway_x_total{job=~"$job"}[5m])) > bool 1 or vector(0)')).toEqual([
    "hatchway_x_total",
  ]);
  expect(labelsIn('sum by (a, b) (x{c="1",d!~"e"})')).toEqual(["c", "d", "a", "b"]);
});
