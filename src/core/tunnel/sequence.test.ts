import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { processorMs } from "../../../test/fixtures/processor-time.ts";
import { CarrierSequence, type Sequenced } from "./sequence.ts";

/** A receiver as the stream is one: what is in order is delivered, the rest is kept. */
class Receiver {
  readonly sequence: CarrierSequence;
  readonly bytes: number[] = [];
  ended = false;
  accepted = true;

  constructor(carrier: number) {
    this.sequence = new CarrierSequence(carrier);
  }

  take(carrier: number, item: Sequenced): void {
    if (!this.sequence.inOrder(carrier)) {
      this.accepted &&= this.sequence.keep(carrier, item);
      return;
    }
    if (item.kind === "move") this.sequence.moved(item.carrier, (due) => this.deliver(due));
    else this.deliver(item);
  }

  private deliver(item: Exclude<Sequenced, { kind: "move" }>): void {
    if (item.kind === "data") this.bytes.push(...item.bytes);
    else this.ended = true;
  }
}

/** What an honest sender puts on each of `carriers`, beginning on 0, and all its bytes in order. */
function sent(steps: readonly { readonly size: number; readonly next: number }[], carriers: number) {
  const queues: Sequenced[][] = Array.from({ length: carriers }, () => []);
  const bytes: number[] = [];
  let on = 0;
  for (const { size, next } of steps) {
    const data = Uint8Array.from({ length: size }, (_, at) => (bytes.length + at) % 251);
    bytes.push(...data);
    if (size > 0) queues[on]?.push({ kind: "data", bytes: data });
    if (next % carriers === on) continue;
    queues[on]?.push({ kind: "move", carrier: next % carriers });
    on = next % carriers;
  }
  queues[on]?.push({ kind: "end" });
  return { queues, bytes };
}

describe("order", () => {
  for (const carriers of [2, 3]) {
    test(`any interleaving of ${carriers} carriers delivers what was sent`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ size: fc.nat(40), next: fc.nat(carriers - 1) }), { maxLength: 40 }),
          fc.array(fc.nat(carriers - 1), { maxLength: 200 }),
          (steps, choices) => {
            const { queues, bytes } = sent(steps, carriers);
            const receiver = new Receiver(0);
            const order = [...choices];
            for (;;) {
              const waiting = queues.flatMap((queue, carrier) => (queue.length > 0 ? [carrier] : []));
              if (waiting.length === 0) break;
              const carrier = waiting[(order.shift() ?? 0) % waiting.length] as number;
              receiver.take(carrier, queues[carrier]?.shift() as Sequenced);
            }
            expect(receiver.accepted).toBe(true);
            expect(receiver.bytes).toEqual(bytes);
            expect(receiver.ended).toBe(true);
            expect(receiver.sequence.earlyBytes).toBe(0);
          },
        ),
        { numRuns: 500 },
      );
    });
  }
});

describe("what waits", () => {
  const data = (size: number): Sequenced => ({ kind: "data", bytes: new Uint8Array(size).fill(7) });

  test("is copied and counted", () => {
    const receiver = new Receiver(0);
    const reused = new Uint8Array(10).fill(1);
    receiver.take(1, { kind: "data", bytes: reused });
    reused.fill(9);
    expect(receiver.sequence.earlyBytes).toBe(10);
    receiver.take(0, { kind: "move", carrier: 1 });
    expect(receiver.bytes).toEqual(Array.from({ length: 10 }, () => 1));
    expect(receiver.sequence.earlyBytes).toBe(0);
  });

  test("a window of frames of one byte is taken: an honest sender may", () => {
    const receiver = new Receiver(0);
    for (let at = 0; at < 262_144; at++) receiver.take(1, data(1));
    expect(receiver.accepted).toBe(true);
    expect(receiver.sequence.earlyBytes).toBe(262_144);
    let delivered = 0;
    let pieces = 0;
    receiver.sequence.moved(1, (item) => {
      pieces++;
      if (item.kind === "data") delivered += item.bytes.length;
    });
    expect(delivered).toBe(262_144);
    expect(pieces).toBeLessThan(100);
  });

  for (const mark of [{ kind: "move", carrier: 1 }, { kind: "end" }] as const) {
    test(`a flood of ${mark.kind} is cut after 64`, () => {
      const receiver = new Receiver(0);
      let taken = 0;
      while (receiver.accepted && taken < 10_000) {
        receiver.take(2, mark);
        taken++;
      }
      expect(taken).toBe(65);
    });
  }

  test("MOVEs that come in order cost no more for what waits elsewhere", () => {
    const sequence = new CarrierSequence(0);
    for (let at = 0; at < 2_000; at++) sequence.keep(3, data(16 * 1024));
    const tookMs = processorMs(() => {
      for (let at = 0; at < 200_000; at++) sequence.moved(at % 2, () => undefined);
    });
    // O(n) a MOVE would take about a minute.
    expect(tookMs).toBeLessThan(2_000);
  });

  test("a chain of MOVEs that lead in a circle ends", () => {
    const receiver = new Receiver(0);
    for (let at = 0; at < 30; at++) {
      receiver.take(1, { kind: "move", carrier: 2 });
      receiver.take(2, { kind: "move", carrier: 1 });
    }
    receiver.take(0, { kind: "move", carrier: 1 });
    expect(receiver.accepted).toBe(true);
    expect(receiver.sequence.inOrder(1)).toBe(true);
  });
});
