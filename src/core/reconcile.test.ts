import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DEFAULT_OPTIONS, type LocalSpec } from "./forward.ts";
import { type Item, localItem, plan } from "./reconcile.ts";
import { mappings } from "./table.fixture.ts";

function idsOf(desired: LocalSpec[], actual: LocalSpec[]): Record<string, string[]> {
  const made = plan(
    desired.map((spec) => localItem(spec)),
    actual.map((spec) => localItem(spec)),
  );
  return {
    close: made.close.map((spec) => spec.id),
    change: made.change.map(({ from, to }) => `${from.id}>${to.id}`),
    open: made.open.map((spec) => spec.id),
    keep: made.keep.map((spec) => spec.id),
  };
}

const web: LocalSpec = {
  id: "web",
  name: "web",
  type: "local",
  bind: "127.0.0.1",
  ports: mappings("80"),
  to: "web.example",
  via: { kind: "agent", device: "nas" },
  credentials: null,
  options: DEFAULT_OPTIONS,
  enabled: true,
};
const ssh: LocalSpec = { ...web, id: "ssh", name: "ssh", ports: mappings("22") };
const limited = { ...web, options: { ...DEFAULT_OPTIONS, limits: { connections: 5 } } };
const off = { ...web, enabled: false };

describe("a plan", () => {
  const cases: [string, LocalSpec[], LocalSpec[], Record<string, string[]>][] = [
    ["nothing", [], [], {}],
    ["first start", [web, ssh], [], { open: ["web", "ssh"] }],
    ["settled", [web, ssh], [ssh, web], { keep: ["ssh", "web"] }],
    ["removed", [ssh], [web, ssh], { close: ["web"], keep: ["ssh"] }],
    ["options only", [limited], [web], { change: ["web>web"] }],
    ["ports moved", [{ ...web, ports: mappings("81") }], [web], { change: ["web>web"] }],
    ["address moved", [{ ...web, bind: "*" }], [web], { close: ["web"], open: ["web"] }],
    ["disabled", [off], [web], { close: ["web"] }],
    ["disabled and absent", [off], [], {}],
    ["enabled again", [web], [], { open: ["web"] }],
    ["disabled and moved", [{ ...off, bind: "*" }], [web], { close: ["web"] }],
    ["a key twice: the later is wanted", [web, limited], [web], { change: ["web>web"] }],
    ["open twice: the later stays", [web], [web, { ...web }], { close: ["web"], keep: ["web"] }],
  ];
  for (const [name, desired, actual, expected] of cases) {
    test(name, () => {
      expect(idsOf(desired, actual)).toEqual({ close: [], change: [], open: [], keep: [], ...expected });
    });
  }

  test("forwards that swap addresses are all closed before any is opened", () => {
    const other = { ...ssh, bind: "127.0.0.2" };
    const swapped = [
      { ...web, bind: other.bind },
      { ...other, bind: web.bind },
    ];
    expect(idsOf(swapped, [web, other])).toMatchObject({ close: ["web", "ssh"], open: ["web", "ssh"] });
  });
});

describe("a change of a forward", () => {
  const cases: [string, Partial<LocalSpec>, "keep" | "change" | "reopen"][] = [
    ["the same", {}, "keep"],
    ["another name", { name: "x" }, "change"],
    ["other credentials", { credentials: { username: "u", password: "p" } }, "change"],
    ["another bind address", { bind: "*" }, "reopen"],
    ["another target", { to: "other.example" }, "reopen"],
    ["another exit", { via: { kind: "relay" } }, "reopen"],
  ];
  for (const [name, more, expected] of cases) {
    test(name, () => {
      const made = plan([localItem({ ...web, ...more })], [localItem(web)]);
      expect([made.close.length, made.change.length, made.open.length]).toEqual(
        { keep: [0, 0, 0], change: [0, 1, 0], reopen: [1, 0, 1] }[expected],
      );
    });
  }
});

test("carried out, a plan gives the desired state; planning again gives nothing to do", () => {
  const item = fc.record({
    key: fc.constantFrom<string>("a", "b", "c", "d"),
    enabled: fc.boolean(),
    entry: fc.integer({ min: 0, max: 2 }),
    options: fc.integer({ min: 0, max: 2 }),
  });
  const state = fc.uniqueArray(item, { selector: ({ key }) => key });
  const items = (
    values: { key: string; enabled: boolean; entry: number; options: number }[],
  ): Item<(typeof values)[0]>[] => values.map((value) => ({ ...value, value }));
  fc.assert(
    fc.property(state, state, (desired, actual) => {
      const made = plan(items(desired), items(actual));
      const open = new Map(actual.map((value) => [value.key, value]));
      for (const value of made.close) expect(open.delete(value.key)).toBe(true);
      for (const { to } of made.change) open.set(to.key, to);
      for (const value of made.open) {
        expect(open.has(value.key)).toBe(false);
        open.set(value.key, value);
      }
      const bare = (values: Iterable<(typeof desired)[0]>): unknown[] =>
        [...values].map(({ key, entry, options }) => `${key}${entry}${options}`).sort();
      expect(bare(open.values())).toEqual(bare(desired.filter((value) => value.enabled)));
      const again = plan(items(desired), items([...open.values()]));
      expect([again.close, again.change, again.open]).toEqual([[], [], []]);
    }),
  );
});
