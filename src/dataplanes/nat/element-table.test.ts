import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { natForward, natPinhole } from "../../../test/contract/nat-plane.ts";
import { ElementTable, undoOf } from "./element-table.ts";
import { elementsOf } from "./elements.ts";
import type { NatChange, NatEntry } from "./state.ts";

const line = ({ set, key, data }: ReturnType<typeof elementsOf>[number]): string =>
  `${set} ${key}${data === null ? "" : ` : ${data}`}`;
const lines = (table: ElementTable): string[] => [...table.elements()].map(line).sort();

describe("elements of an entry", () => {
  const cases: [string, NatEntry, string[]][] = [
    [
      "one port",
      natForward({ first: 80, internalFirst: 8080 }),
      [
        "hw_dnat tcp . 80 : 192.168.77.2 . 8080",
        "hw_forwards tcp . 80 : jump hw_open4_default",
        "hw_in_tcp 80",
        "hw_out_tcp 80",
        "hw_rsnat 192.168.77.2 . tcp . 8080 : 80",
      ],
    ],
    [
      "a range that keeps its ports",
      natForward({ first: 80, last: 90, protocol: "udp" }),
      [
        "hw_dnat_spans udp . 80-90 : 192.168.77.2",
        "hw_forward_spans udp . 80-90 : jump hw_open4_default",
        "hw_in_udp_spans 80-90",
        "hw_out_udp_spans 80-90",
        "hw_rsnat_spans 192.168.77.2 . udp . 80-90",
      ],
    ],
    [
      "a range that shifts",
      natForward({ first: 80, last: 81, internalFirst: 90 }),
      [
        "hw_dnat tcp . 80 : 192.168.77.2 . 90",
        "hw_dnat tcp . 81 : 192.168.77.2 . 91",
        "hw_forward_spans tcp . 80-81 : jump hw_open4_default",
        "hw_in_tcp_spans 80-81",
        "hw_out_tcp_spans 80-81",
        "hw_rsnat 192.168.77.2 . tcp . 90 : 80",
        "hw_rsnat 192.168.77.2 . tcp . 91 : 81",
      ],
    ],
    [
      "a pinhole with a filter and limits",
      natPinhole({
        first: 443,
        allow: [{ network: "2001:db8::/32" as never, port: 5 }],
        limits: { connectionsPerSource: 4, newPerSourcePerSec: null },
      }),
      [
        "hw_allowed6 fd00:77::2 . tcp . 443 . 2001:db8::/32 . 5",
        "hw_in6 fd00:77::2 . tcp . 443",
        "hw_out6 fd00:77::2 . tcp . 443",
        "hw_pinholes fd00:77::2 . tcp . 443 : jump hw_listed6_c4_rx",
        "hw_visits6 fd00:77::2 . tcp . 443",
      ],
    ],
  ];
  test.each(cases)("%s", (_name, entry, expected) => {
    expect(elementsOf(entry).map(line).sort()).toEqual(expected);
  });

  test("who only denies lets the others in", () => {
    const entry = natForward({ first: 80, deny: ["10.0.0.0/8" as never] });
    expect(elementsOf(entry).map(line)).toContain("hw_allowed4 tcp . 80 . 0.0.0.0/0 . 0-65535");
    expect(elementsOf(entry).map(line)).toContain("hw_denied4 tcp . 80 . 10.0.0.0/8");
  });

  test("who allows none of a family lets none of it in", () => {
    const entry = natForward({ first: 80, allow: [{ network: "2001:db8::/32" as never, port: null }] });
    expect(elementsOf(entry).some(({ set }) => set === "hw_allowed4")).toBe(false);
    expect(elementsOf(entry).map(line)).toContain("hw_forwards tcp . 80 : jump hw_listed4_default");
  });
});

describe("ElementTable", () => {
  const web = natForward({ id: "web", first: 80 });

  test("the same entry again is no difference", () => {
    const table = new ElementTable();
    table.batch(() => table.change({ put: [web], remove: [] }));
    expect(table.batch(() => table.change({ put: [web], remove: [] }))).toEqual({ remove: [], add: [] });
  });

  test("another client changes what says so, and no counter", () => {
    const table = new ElementTable();
    table.batch(() => table.change({ put: [web], remove: [] }));
    const delta = table.batch(() => table.change({ put: [{ ...web, to: "192.168.78.2" }], remove: [] }));
    expect(delta.remove.map(line)).toEqual([
      "hw_dnat tcp . 80 : 192.168.77.2 . 80",
      "hw_rsnat 192.168.77.2 . tcp . 80 : 80",
    ]);
    expect(delta.add.map(line)).toEqual([
      "hw_dnat tcp . 80 : 192.168.78.2 . 80",
      "hw_rsnat 192.168.78.2 . tcp . 80 : 80",
    ]);
  });

  test("two forwards to one port of a client: the first by id has its source port, and the other after it", () => {
    const table = new ElementTable();
    const b = natForward({ id: "b", first: 81, internalFirst: 8080 });
    const a = natForward({ id: "a", first: 82, internalFirst: 8080 });
    table.batch(() => table.change({ put: [b, a], remove: [] }));
    const key = "192.168.77.2 . tcp . 8080";
    expect(table.get("hw_rsnat", key)).toBe("82");
    const delta = table.batch(() => table.change({ put: [], remove: ["a"] }));
    expect(table.get("hw_rsnat", key)).toBe("81");
    expect(delta.add.map(line)).toEqual([`hw_rsnat ${key} : 81`]);
  });

  const entry = fc
    .record({
      id: fc.constantFrom("a", "b", "c", "d"),
      first: fc.integer({ min: 1, max: 6 }),
      span: fc.nat(3),
      shift: fc.nat(2),
    })
    .map(({ id, first, span, shift }) => natForward({ id, first, last: first + span, internalFirst: first + shift }));
  const change: fc.Arbitrary<NatChange> = fc.record({
    put: fc.array(entry, { maxLength: 3 }),
    remove: fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 2 }),
  });

  test("a difference leads from the one table to the other, and its undoing back", () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 4 }),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (first, then) => {
          const table = new ElementTable();
          table.batch(() => first.forEach((one) => void table.change(one)));
          const before = lines(table);
          const undo = undoOf(table.entries, then);
          const delta = table.batch(() => then.forEach((one) => void table.change(one)));
          const removed = new Set(delta.remove.map(line));
          expect([...before.filter((one) => !removed.has(one)), ...delta.add.map(line)].sort()).toEqual(lines(table));
          table.batch(() => table.change(undo));
          expect(lines(table)).toEqual(before);
        },
      ),
    );
  });
});
