import { describe, expect, test } from "bun:test";
import type { ReasonName } from "../../wire/reason.ts";
import type { FlowEnd, FlowSink, Visit } from "./ends.ts";
import { joinFlows } from "./join-flows.ts";
import { Shaper } from "./shaper.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import { Visits } from "./visits.ts";

const VISIT: Visit = {
  visitor: { address: "192.0.2.1", port: 5_000 },
  entry: { address: "192.0.2.9", port: 53 },
  externalPort: 53,
};
const LIMITS = { tcpIdleSec: null, halfCloseIdleSec: 30, udpIdleSec: 120 };

/** Says of its end, as a tunnel's flow does. */
class MemoryFlow implements FlowEnd {
  sink: FlowSink = SILENT_SINK;
  full = false;
  readonly sent: number[] = [];
  closed: ReasonName | null | undefined;

  send(datagram: Uint8Array): boolean {
    if (this.full) return false;
    this.sent.push(datagram.length);
    return true;
  }

  close(reason: ReasonName | null): void {
    if (this.closed !== undefined) return;
    this.closed = reason;
    this.sink.onClose(reason);
  }
}

function joined(bytesPerSec: number | null = null) {
  const visitor = new MemoryFlow();
  const exit = new MemoryFlow();
  const visits = new Visits(LIMITS);
  const left: string[] = [];
  const admission = { admit: () => null, admitMore: () => true, leave: (address: string) => void left.push(address) };
  const shaping = bytesPerSec === null ? undefined : new Shaper(bytesPerSec);
  const open = joinFlows(visitor, exit, VISIT, visits, admission, shaping);
  return { visitor, exit, visits, left, open };
}

describe("datagrams", () => {
  test("pass both ways, empty ones too, and are counted for the visit and for the forward", () => {
    const { visitor, exit, visits, open } = joined();
    visitor.sink.onDatagram(new Uint8Array(10));
    visitor.sink.onDatagram(new Uint8Array(0));
    exit.sink.onDatagram(new Uint8Array(7));
    expect([exit.sent, visitor.sent]).toEqual([[10, 0], [7]]);
    expect(open).toMatchObject({ bytesIn: 10, bytesOut: 7 });
    expect(visits.counters).toMatchObject({ bytesIn: 10, bytesOut: 7, datagramsDropped: 0 });
  });

  test("that a side does not take, or that are above the bandwidth, are counted as dropped, once", () => {
    const { visitor, exit, visits, open } = joined(1);
    exit.full = true;
    visitor.sink.onDatagram(new Uint8Array(40_000));
    exit.sink.onDatagram(new Uint8Array(20_000));
    exit.sink.onDatagram(new Uint8Array(20_000));
    expect(visitor.sent).toEqual([20_000]);
    expect(open).toMatchObject({ bytesIn: 0, bytesOut: 20_000 });
    expect(visits.counters).toMatchObject({ bytesIn: 0, bytesOut: 20_000, datagramsDropped: 2 });
  });
});

test("a datagram that a side took and then could not send is counted as dropped, not as passed", () => {
  const { visitor, exit, visits, open } = joined();
  for (const side of [visitor, exit]) for (const bytes of [10, 7]) side.sink.onDatagram(new Uint8Array(bytes));
  exit.sink.onDropped?.(10);
  visitor.sink.onDropped?.(7);
  expect(open).toMatchObject({ bytesIn: 7, bytesOut: 10 });
  expect(visits.counters).toMatchObject({ bytesIn: 7, bytesOut: 10, datagramsDropped: 2 });
});

describe("the end", () => {
  type Ending = (flows: ReturnType<typeof joined>) => void;
  const idle: Ending = ({ open }) => {
    const nowMs = performance.now();
    open.sweep(nowMs, LIMITS);
    open.sweep(nowMs + 120_001, LIMITS);
  };
  const endings: [string, Ending, ReasonName | null, ReasonName | null][] = [
    ["the visitor's side ends", ({ visitor }) => visitor.close(null), null, null],
    ["the exit refuses", ({ exit }) => exit.close("serviceRefused"), "serviceRefused", "serviceRefused"],
    ["it is cut", ({ open }) => open.cut("killed"), "killed", "killed"],
    ["it is idle: no cut", idle, "idle", null],
    ["the exit was idle: no cut", ({ exit }) => exit.close("idle"), "idle", null],
  ];
  for (const [name, finish, reason, counted] of endings) {
    test(`${name}: both sides close, and one visitor leaves once`, () => {
      const flows = joined();
      finish(flows);
      flows.open.cut("shutdown");
      expect([flows.visitor.closed, flows.exit.closed]).toEqual([reason, reason]);
      expect(flows.left).toEqual(["192.0.2.1"]);
      expect(flows.visits.size).toBe(0);
      expect(flows.visits.counters.refused()).toEqual(counted === null ? {} : { [counted]: 1 });
    });
  }

  test("a datagram of either side puts the idle timeout off", () => {
    const { visitor, exit, open, visits } = joined();
    let nowMs = performance.now();
    for (const side of [visitor, exit]) {
      side.sink.onDatagram(new Uint8Array(1));
      nowMs += 119_000;
      open.sweep(nowMs, LIMITS);
    }
    nowMs += 119_000;
    open.sweep(nowMs, LIMITS);
    expect(visits.size).toBe(1);
    open.sweep(nowMs + 1_001, LIMITS);
    expect(visits.size).toBe(0);
  });
});
