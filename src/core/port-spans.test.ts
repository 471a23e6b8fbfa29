import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  countPorts,
  firstInside,
  firstOutside,
  formatSpans,
  intersectSpans,
  mergeSpans,
  type PortSpan,
  seekSpan,
  spansOf,
  subtractSpans,
} from "./port-spans.ts";

const spans = (...pairs: [number, number][]): PortSpan[] => pairs.map(([first, last]) => ({ first, last }));

describe("mergeSpans", () => {
  const cases: [string, PortSpan[], PortSpan[]][] = [
    ["nothing", [], []],
    ["sorts", spans([90, 95], [10, 20]), spans([10, 20], [90, 95])],
    ["joins overlap", spans([10, 20], [15, 30]), spans([10, 30])],
    ["joins neighbours", spans([10, 20], [21, 30]), spans([10, 30])],
    ["swallows", spans([10, 40], [15, 30]), spans([10, 40])],
    ["keeps a gap of one", spans([10, 20], [22, 30]), spans([10, 20], [22, 30])],
  ];
  for (const [name, input, output] of cases) {
    test(name, () => expect(mergeSpans(input)).toEqual(output));
  }
});

test("spansOf takes the protocol and what says none", () => {
  const ranges = [
    { protocol: "tcp", first: 80, last: 80 },
    { protocol: null, first: 90, last: 91 },
    { protocol: "udp", first: 53, last: 53 },
  ] as const;
  expect(spansOf(ranges, "tcp")).toEqual(spans([80, 80], [90, 91]));
  expect(spansOf(ranges, "udp")).toEqual(spans([53, 53], [90, 91]));
});

test("the searches agree with a plain set of ports", () => {
  const span = fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 9 }))
    .map(([first, extra]) => ({ first, last: first + extra }));
  fc.assert(
    fc.property(fc.array(span, { maxLength: 8 }), span, (input, asked) => {
      const merged = mergeSpans(input);
      const ports = new Set(input.flatMap((s) => Array.from({ length: s.last - s.first + 1 }, (_, n) => s.first + n)));
      const wanted = Array.from({ length: asked.last - asked.first + 1 }, (_, n) => asked.first + n);
      expect(firstOutside(merged, asked)).toBe(wanted.find((port) => !ports.has(port)) ?? null);
      expect(firstInside(merged, asked)).toBe(wanted.find((port) => ports.has(port)) ?? null);
      expect(countPorts(merged)).toBe(ports.size);
      const index = seekSpan(merged, asked.first);
      expect(merged.findIndex((s) => s.last >= asked.first)).toBe(index === merged.length ? -1 : index);
    }),
  );
});

test("what two runs share and what one leaves of the other agree with plain sets", () => {
  const port = fc.integer({ min: 1, max: 40 });
  const portsOf = (ports: readonly number[]) => mergeSpans(ports.map((first) => ({ first, last: first })));
  fc.assert(
    fc.property(fc.uniqueArray(port), fc.uniqueArray(port), (a, b) => {
      const [left, right] = [portsOf(a), portsOf(b)];
      expect(intersectSpans(left, right)).toEqual(portsOf(a.filter((one) => b.includes(one))));
      expect(subtractSpans(left, right)).toEqual(portsOf(a.filter((one) => !b.includes(one))));
    }),
  );
});

describe("formatSpans", () => {
  test("nothing", () => expect(formatSpans([])).toBe("none"));
  test("single ports and ranges", () => expect(formatSpans(spans([80, 80], [90, 95]))).toBe("80, 90-95"));
  test("many", () => expect(formatSpans(spans([1, 1], [3, 3], [5, 5]), 2)).toBe("1, 3 and 1 more ranges"));
});
