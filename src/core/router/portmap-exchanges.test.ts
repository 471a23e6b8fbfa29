import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ExchangeAction, PortMapExchanges } from "./portmap-exchanges.ts";
import type { PortMapAnswer, PortMapQuestion } from "./portmap-talk.ts";

const ADDRESS: PortMapQuestion = { protocol: "nat-pmp", request: { kind: "external-address" } };
const map = (internalPort: number): PortMapQuestion => ({
  protocol: "nat-pmp",
  request: { kind: "map", protocol: "tcp", internalPort, externalPort: 0, lifetimeSec: 60 },
});
const unmap: PortMapQuestion = {
  protocol: "nat-pmp",
  request: { kind: "map", protocol: "tcp", internalPort: 80, externalPort: 0, lifetimeSec: 0 },
};
const mapped = (internalPort: number, lifetimeSec = 60): PortMapAnswer => ({
  protocol: "nat-pmp",
  response: { kind: "map", protocol: "tcp", internalPort, externalPort: 1, lifetimeSec, epochSec: 1 },
});
const LIMIT_MS = 2_000;

/** Each action as a word and the number it is about. */
const words = (actions: readonly ExchangeAction[]): string[] =>
  actions.map((action) => {
    if (action.kind === "ignored") return action.reason;
    return `${action.kind === "failed" ? action.why : action.kind} ${action.id}`;
  });
const newExchanges = (jitter = 0) => new PortMapExchanges(() => jitter);

describe("one question", () => {
  test("is sent again after 250 ms, 500 and so on, and given up at its limit", () => {
    const exchanges = newExchanges();
    expect(words(exchanges.ask(1, ADDRESS, LIMIT_MS, 0))).toEqual(["send 1"]);
    const seen: [number, string[]][] = [];
    for (let at = exchanges.nextDeadlineMs(); at !== null; at = exchanges.nextDeadlineMs()) {
      seen.push([at, words(exchanges.onTime(at))]);
    }
    expect(seen).toEqual([
      [250, ["send 1"]],
      [750, ["send 1"]],
      [1_750, ["send 1"]],
      [2_000, ["silent 1"]],
    ]);
  });
  test("does not keep in step with others", () => {
    for (const jitter of [-0.1, 0.1]) {
      const exchanges = newExchanges(jitter);
      exchanges.ask(1, ADDRESS, LIMIT_MS, 0);
      expect(exchanges.nextDeadlineMs()).toBeCloseTo(250 * (1 + jitter));
    }
  });
  test("is not sent early, whenever somebody looks", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, ADDRESS, LIMIT_MS, 0);
    expect(exchanges.onTime(249)).toEqual([]);
  });
  test("ends with its answer", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, map(80), LIMIT_MS, 0);
    expect(words(exchanges.onAnswer(mapped(80), 10))).toEqual(["answered 1"]);
    expect(exchanges.nextDeadlineMs()).toBeNull();
  });
  test("can be called off, before and while it is asked", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, map(80), LIMIT_MS, 0);
    exchanges.ask(2, map(80), LIMIT_MS, 0);
    exchanges.callOff(2, 1);
    expect(words(exchanges.callOff(1, 2))).toEqual([]);
    expect(exchanges.nextDeadlineMs()).toBeNull();
  });
});

describe("answers", () => {
  test("to no question are told, one that comes twice is not", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, map(80), LIMIT_MS, 0);
    expect(words(exchanges.onAnswer(mapped(81), 5))).toEqual(["unasked"]);
    exchanges.onAnswer(mapped(80), 10);
    expect(words(exchanges.onAnswer(mapped(80), 300))).toEqual([]);
    expect(words(exchanges.onAnswer(mapped(80), 20_000))).toEqual(["unasked"]);
  });
  test("after it was given up are late, and no more", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, map(80), LIMIT_MS, 0);
    exchanges.ask(2, map(81), LIMIT_MS, 0);
    exchanges.onAnswer(mapped(81), 10);
    expect(words(exchanges.onTime(2_000))).toEqual(["silent 1"]);
    expect(words(exchanges.onAnswer(mapped(80), 2_100))).toEqual([]);
  });
  test("with another nonce are told as such", () => {
    const exchanges = newExchanges();
    const mapping = {
      nonce: "00".repeat(12),
      protocol: 6,
      internalPort: 80,
      externalPort: 80,
      externalAddress: "0.0.0.0",
    };
    const body = { opcode: "map" as const, ...mapping, thirdParty: null, preferFailure: false, filters: [] };
    exchanges.ask(1, { protocol: "pcp", request: { lifetimeSec: 60, clientAddress: "192.0.2.1", body } }, LIMIT_MS, 0);
    const answer = (nonce: string): PortMapAnswer => ({
      protocol: "pcp",
      response: { kind: "success", lifetimeSec: 60, epochSec: 1, body: { ...body, nonce } },
    });
    expect(words(exchanges.onAnswer(answer("11".repeat(12)), 5))).toEqual(["other-nonce"]);
    expect(words(exchanges.onAnswer(answer(mapping.nonce), 6))).toEqual(["answered 1"]);
  });
  test("that a version is not spoken end all questions of that protocol", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, ADDRESS, LIMIT_MS, 0);
    exchanges.ask(2, map(80), LIMIT_MS, 0);
    const answer: PortMapAnswer = { protocol: "pcp", response: { kind: "unsupported-version", version: 2 } };
    expect(words(exchanges.onAnswer(answer, 5))).toEqual(["answered 1", "answered 2"]);
  });
});

describe("many questions", () => {
  test("four at once; each answer makes room for one", () => {
    const exchanges = newExchanges();
    const asked = [1, 2, 3, 4, 5, 6].map((id) => words(exchanges.ask(id, map(id), LIMIT_MS, 0)));
    expect(asked).toEqual([["send 1"], ["send 2"], ["send 3"], ["send 4"], [], []]);
    expect(words(exchanges.onAnswer(mapped(3), 5))).toEqual(["answered 3", "send 5"]);
  });
  test("two that have the same answer one after the other, in order, and others do not wait for them", () => {
    const exchanges = newExchanges();
    expect(words(exchanges.ask(1, map(80), LIMIT_MS, 0))).toEqual(["send 1"]);
    expect(words(exchanges.ask(2, unmap, LIMIT_MS, 0))).toEqual([]);
    expect(words(exchanges.ask(3, map(80), LIMIT_MS, 0))).toEqual([]);
    expect(words(exchanges.ask(4, map(81), LIMIT_MS, 0))).toEqual(["send 4"]);
    expect(words(exchanges.onAnswer(mapped(80), 5))).toEqual(["answered 1", "send 2"]);
    // The first question's, once more.
    expect(words(exchanges.onAnswer(mapped(80), 6))).toEqual([]);
    expect(words(exchanges.onAnswer(mapped(80, 0), 7))).toEqual(["answered 2", "send 3"]);
  });
  test("an end that is said twice is none of the mapping that is asked for next", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, unmap, LIMIT_MS, 0);
    expect(words(exchanges.onTime(250))).toEqual(["send 1"]);
    exchanges.ask(2, map(80), LIMIT_MS, 260);
    expect(words(exchanges.onAnswer(mapped(80, 0), 300))).toEqual(["answered 1", "send 2"]);
    expect(words(exchanges.onAnswer(mapped(80, 0), 310))).toEqual([]);
    expect(words(exchanges.onAnswer(mapped(80), 320))).toEqual(["answered 2"]);
  });
  test("an end that nobody asked for is a mapping's answer, for it to judge", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, map(80), LIMIT_MS, 0);
    exchanges.onAnswer(mapped(80), 10);
    exchanges.ask(2, map(80), LIMIT_MS, 20);
    expect(words(exchanges.onAnswer(mapped(80, 0), 30))).toEqual(["answered 2"]);
  });
  test("a silent router costs one limit, however many wait", () => {
    const exchanges = newExchanges();
    for (let id = 1; id <= 10; id++) exchanges.ask(id, map(id), LIMIT_MS, id);
    expect(words(exchanges.onTime(2_001))).toEqual(Array.from({ length: 10 }, (_, at) => `silent ${at + 1}`));
    expect(exchanges.nextDeadlineMs()).toBeNull();
  });
  test("one that answers the others costs those that wait nothing", () => {
    const exchanges = newExchanges();
    for (let id = 1; id <= 5; id++) exchanges.ask(id, map(id), LIMIT_MS, 0);
    expect(words(exchanges.onAnswer(mapped(2), 1_000))).toEqual(["answered 2", "send 5"]);
    expect(words(exchanges.onTime(2_000))).toEqual(["silent 1", "silent 3", "silent 4", "send 5"]);
  });
});

describe("an error of the system", () => {
  test("is believed the second time, after the question was sent once more, and ends all", () => {
    const exchanges = newExchanges();
    for (let id = 1; id <= 5; id++) exchanges.ask(id, map(id), LIMIT_MS, 0);
    expect(words(exchanges.onError(1))).toEqual([]);
    // The same one again.
    expect(words(exchanges.onError(2))).toEqual([]);
    expect(exchanges.nextDeadlineMs()).toBe(101);
    expect(words(exchanges.onTime(101))).toEqual([1, 2, 3, 4].map((id) => `send ${id}`));
    expect(words(exchanges.onError(102))).toEqual([1, 2, 3, 4, 5].map((id) => `error ${id}`));
    expect(exchanges.nextDeadlineMs()).toBeNull();
  });
  test("of before is forgotten when the answer comes", () => {
    const exchanges = newExchanges();
    exchanges.ask(1, map(80), LIMIT_MS, 0);
    exchanges.onError(1);
    exchanges.onTime(101);
    expect(words(exchanges.onAnswer(mapped(80), 102))).toEqual(["answered 1"]);
    expect(words(exchanges.onError(103))).toEqual([]);
  });
});

test("whatever happens, each question ends once and no later than all limits together", () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant("ask" as const), port: fc.nat(5) }),
    fc.record({ kind: fc.constant("answer" as const), port: fc.nat(5) }),
    fc.record({ kind: fc.constant("callOff" as const), port: fc.nat(20) }),
    fc.record({ kind: fc.constant("error" as const), port: fc.constant(0) }),
    fc.record({ kind: fc.constant("time" as const), port: fc.nat(3_000) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const exchanges = newExchanges(0.1);
      const open = new Set<number>();
      let nowMs = 0;
      let asked = 0;
      const carryOut = (actions: readonly ExchangeAction[]): void => {
        for (const action of actions) {
          if (action.kind === "ignored") continue;
          expect(open.has(action.id)).toBe(true);
          if (action.kind !== "send") open.delete(action.id);
        }
      };
      for (const { kind, port } of events) {
        if (kind === "ask") {
          open.add(++asked);
          carryOut(exchanges.ask(asked, map(port), LIMIT_MS, nowMs));
        } else if (kind === "answer") carryOut(exchanges.onAnswer(mapped(port), nowMs));
        else if (kind === "error") carryOut(exchanges.onError(nowMs));
        else if (kind === "callOff") {
          open.delete(port);
          carryOut(exchanges.callOff(port, nowMs));
        } else {
          nowMs += port;
          carryOut(exchanges.onTime(nowMs));
        }
      }
      const endMs = nowMs + LIMIT_MS * (asked + 1);
      for (let at = exchanges.nextDeadlineMs(); at !== null; at = exchanges.nextDeadlineMs()) {
        expect(at).toBeLessThanOrEqual(endMs);
        carryOut(exchanges.onTime(at));
      }
      expect([...open]).toEqual([]);
    }),
  );
});
