import { describe, expect, test } from "bun:test";
import { natForward, natPinhole } from "../../../test/contract/nat-plane.ts";
import { changedEntries, entriesOfDelta } from "./stale.ts";
import type { NatChange, NatEntry } from "./state.ts";

const tcp = natForward({ id: "tcp", first: 80 });
const udp = natForward({ id: "udp", first: 53, protocol: "udp" });

describe("whose connections are stale after a change", () => {
  const moved = { ...udp, to: "192.168.78.2" };
  const cases: [string, NatChange, NatEntry[]][] = [
    ["of what is gone", { put: [], remove: ["tcp"] }, [tcp]],
    ["of what is another now, before and (UDP) after", { put: [moved], remove: [] }, [udp, moved]],
    ["of none that stays", { put: [tcp, udp], remove: ["nobody"] }, []],
    [
      "of a new UDP one: its visitors came before",
      { put: [{ ...udp, id: "new", first: 54, last: 54 }], remove: [] },
      [{ ...udp, id: "new", first: 54, last: 54 }],
    ],
    ["of no new TCP one", { put: [{ ...tcp, id: "new", first: 81, last: 81 }], remove: [] }, []],
  ];
  test.each(cases)("%s", (_name, change, expected) => {
    const entries = new Map([tcp, udp].map((entry) => [entry.id, entry]));
    expect(changedEntries(entries, [change])).toEqual(expected);
  });
});

test("from the kernel's elements alone: what went led somewhere, what came back led nowhere", () => {
  const stale = entriesOfDelta({
    remove: [
      { set: "hw_dnat", key: "tcp . 80", data: "192.168.77.2 . 8080" },
      { set: "hw_pinhole_spans", key: "fd00::1 . udp . 5-6", data: "jump hw_open6_default" },
      { set: "hw_in_tcp", key: "tcp . 80", data: null },
    ],
    add: [
      { set: "hw_dnat_spans", key: "udp . 90-99", data: "192.168.77.2" },
      { set: "hw_dnat", key: "tcp . 81", data: "192.168.77.2 . 81" },
    ],
  });
  expect(stale).toEqual([
    natForward({ id: "tcp . 80", first: 80, internalFirst: 8080 }),
    natPinhole({ id: "fd00::1 . udp . 5-6", first: 5, last: 6, protocol: "udp", to: "fd00::1" }),
    natForward({ id: "udp . 90-99", first: 90, last: 99, protocol: "udp", to: "0.0.0.0" }),
  ]);
});
