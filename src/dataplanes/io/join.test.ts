import { describe, expect, test } from "bun:test";
import { MemoryEnd } from "../../../test/contract/memory-end.ts";
import { Recorder } from "../../../test/contract/recorder.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { Visit } from "./ends.ts";
import { join } from "./join.ts";
import { type IdleLimits, Visits } from "./visits.ts";

const VISIT: Visit = {
  visitor: { address: "192.0.2.1", port: 5000 },
  entry: { address: "192.0.2.9", port: 80 },
  externalPort: 80,
};
const LIMITS: IdleLimits = { tcpIdleSec: 60, halfCloseIdleSec: 10, udpIdleSec: 120 };
const bytes = (text: string) => new TextEncoder().encode(text);

/** visitor ── [entrySide join exitSide] ── service */
function scene(limits: IdleLimits = LIMITS) {
  const entry = MemoryEnd.pair();
  const exit = MemoryEnd.pair();
  const visits = new Visits(limits);
  const admission = new Admission(DEFAULT_OPTIONS);
  admission.admit(VISIT.visitor.address, 0);
  const visitor = new Recorder(entry.dialled);
  const service = new Recorder(exit.accepted);
  const joined = join(entry.accepted, exit.dialled, VISIT, visits, admission);
  return { visitor, service, joined, visits, admission, entrySide: entry.accepted, exitSide: exit.dialled };
}

const ended = (visits: Visits) => ({ open: visits.size, refused: visits.counters.refused() });

describe("join", () => {
  test("passes and counts bytes both ways, and ends when both sides have", async () => {
    const { visitor, service, visits, admission } = scene();
    service.end.opened?.();
    visitor.end.write(bytes("question"));
    await service.whenBytes(8);
    service.end.write(bytes("the answer"));
    await visitor.whenBytes(10);
    expect(visits.counters).toMatchObject({ visitorsTotal: 1, visitorsOpen: 1, bytesIn: 8, bytesOut: 10 });
    visitor.end.end();
    await service.whenEnded();
    service.end.end();
    await visitor.whenClosed();
    expect([visitor.closed, service.closed]).toEqual([null, null]);
    expect(ended(visits)).toEqual({ open: 0, refused: {} });
    expect([visits.counters.visitorsOpen, admission.open]).toEqual([0, 0]);
  });

  test("tells the visitor's side when the exit opens, and how long it took", async () => {
    const { service, visits, visitor } = scene();
    expect(visits.counters.answerMs()).toBeNull();
    service.end.opened?.();
    await visitor.whenOpen();
    expect(visits.counters.answerMs()?.p50).toBeGreaterThanOrEqual(0);
  });

  test("an exit that refuses resets the visitor in the same turn, counted by reason", async () => {
    const entry = MemoryEnd.pair();
    const visits = new Visits(LIMITS);
    const visitor = new Recorder(entry.dialled);
    join(entry.accepted, MemoryEnd.refused("serviceRefused"), VISIT, visits);
    await visitor.whenClosed();
    expect(entry.accepted.calls).toContain("reset serviceRefused");
    expect(ended(visits)).toEqual({ open: 0, refused: { serviceRefused: 1 } });
  });

  for (const side of ["visitor", "service"] as const) {
    test(`a reset by the ${side} reaches the other side once, and leaves once`, async () => {
      const all = scene();
      const other = side === "visitor" ? all.service : all.visitor;
      all[side].end.reset("reset");
      await other.whenClosed();
      expect(other.closed).toBe("reset");
      expect(ended(all.visits)).toEqual({ open: 0, refused: { reset: 1 } });
      expect(all.admission.open).toBe(0);
    });

    test(`what the ${side} does not take holds the other side back, and is told as it drains`, async () => {
      const all = scene();
      const other = side === "visitor" ? all.service : all.visitor;
      const held = side === "visitor" ? all.exitSide : all.entrySide;
      all.service.end.opened?.();
      all[side].end.backlog(1);
      other.end.write(new Uint8Array(1_000_000));
      const heldBack = () => held.calls.some((call) => call.startsWith("backlog ") && call !== "backlog 0");
      await held.when(heldBack);
      all[side].end.backlog(0);
      await all[side].whenBytes(1_000_000);
      await held.when(() => held.calls.at(-1) === "backlog 0");
    });
  }

  test("kill cuts one visit and says so", async () => {
    const { visits, visitor, service } = scene();
    const [[id] = [0]] = [...visits.list()];
    expect(visits.kill(id + 1)).toBe(false);
    expect(visits.kill(id)).toBe(true);
    await visitor.whenClosed();
    await service.whenClosed();
    expect(ended(visits)).toEqual({ open: 0, refused: { killed: 1 } });
  });

  test("drained() resolves when the last visit has ended", async () => {
    const { visits } = scene();
    const drained = visits.drained();
    visits.cutAll("shutdown");
    await drained;
    await new Visits(LIMITS).drained();
  });

  describe("idle", () => {
    const start = Math.ceil(performance.now());
    const at = (seconds: number) => start + 1_000 * (seconds + 1);

    test("ends a visit without traffic, and traffic refreshes it", async () => {
      const { visits, visitor, service } = scene();
      visits.sweep(at(0));
      visitor.end.write(bytes("x"));
      await service.whenBytes(1);
      visits.sweep(at(59));
      visits.sweep(at(118));
      expect(visits.size).toBe(1);
      visits.sweep(at(119));
      expect(ended(visits)).toEqual({ open: 0, refused: { idle: 1 } });
    });

    test("after a half-close the shorter timeout counts, from the half-close on", async () => {
      const { visits, visitor, service } = scene({ ...LIMITS, tcpIdleSec: null });
      visits.sweep(at(1_000));
      expect(visits.size).toBe(1);
      visitor.end.end();
      await service.whenEnded();
      visits.sweep(at(2_000));
      service.end.write(bytes("still here"));
      await visitor.whenBytes(10);
      visits.sweep(at(2_009));
      visits.sweep(at(2_018));
      expect(visits.size).toBe(1);
      visits.sweep(at(2_019));
      expect(ended(visits)).toEqual({ open: 0, refused: { idle: 1 } });
    });

    test("limits may change while a visit is open", () => {
      const { visits } = scene({ ...LIMITS, tcpIdleSec: null });
      visits.sweep(at(1_000));
      visits.limits = { ...LIMITS, tcpIdleSec: 1 };
      visits.sweep(at(1_001));
      expect(visits.size).toBe(0);
    });

    test("a visit that lasts turns keep-alive on, once", () => {
      const { visits, entrySide, exitSide } = scene();
      visits.sweep(at(29));
      expect(entrySide.calls).not.toContain("keepAlive");
      visits.sweep(at(31));
      visits.sweep(at(32));
      for (const { calls } of [entrySide, exitSide]) {
        expect(calls.filter((call) => call === "keepAlive")).toHaveLength(1);
      }
    });
  });
});
