import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ByteEnd } from "../../src/dataplanes/io/ends.ts";
import { Recorder } from "./recorder.ts";

/** Makes ends of the implementation under test, each connected to another ByteEnd on its far side. */
export interface ByteEndHarness {
  /** A dialled end and the accepted one it meets; resolves when `accepted` exists. Sinks are still to be set. */
  connect(): Promise<{ readonly dialled: ByteEnd; readonly accepted: Promise<ByteEnd> }>;
  /** A dialled end whose far side refuses it. */
  refused(): ByteEnd;
  close(): Promise<void> | void;
}

const MIB = 1024 * 1024;
/** A peer that never reads must cost less than this however much is offered: queue, windows and socket buffers. */
const STALL_BOUND_BYTES = 64 * MIB;

/** What every ByteEnd does, whatever carries it (ends.ts). */
export function describeByteEnd(name: string, makeHarness: () => Promise<ByteEndHarness>): void {
  describe(`${name} is a ByteEnd`, () => {
    let harness: ByteEndHarness;
    beforeAll(async () => {
      harness = await makeHarness();
    });
    afterAll(() => harness.close());

    const pair = async () => {
      const { dialled, accepted } = await harness.connect();
      const a = new Recorder(dialled);
      const b = new Recorder(await accepted);
      b.end.opened?.();
      await a.whenOpen();
      return { a, b };
    };

    test("carries bytes both ways, in order", async () => {
      const { a, b } = await pair();
      a.end.write(new TextEncoder().encode("ping"));
      await b.whenBytes(4);
      expect(b.text).toBe("ping");
      b.end.write(new TextEncoder().encode("pong!"));
      await a.whenBytes(5);
      expect(a.text).toBe("pong!");
      a.end.reset("reset");
      await b.whenClosed();
    });

    test("keeps what is written before it opens", async () => {
      const { dialled, accepted } = await harness.connect();
      const a = new Recorder(dialled);
      a.end.write(new TextEncoder().encode("early"));
      const b = new Recorder(await accepted);
      b.end.opened?.();
      await b.whenBytes(5);
      expect(b.text).toBe("early");
      a.end.reset("reset");
      await b.whenClosed();
    });

    for (const first of ["dialled", "accepted"] as const) {
      test(`the ${first} side half-closes, then receives 50 MB`, async () => {
        const ends = await pair();
        const [closer, sender] = first === "dialled" ? [ends.a, ends.b] : [ends.b, ends.a];
        closer.end.write(new TextEncoder().encode("request"));
        closer.end.end();
        await sender.whenEnded();
        expect(sender.text).toBe("request");
        await sender.pour(50_000_000);
        sender.end.end();
        await closer.whenClosed();
        await sender.whenClosed();
        expect(closer.bytes).toBe(50_000_000);
        expect(closer.ended).toBe(true);
        expect([closer.closed, sender.closed]).toEqual([null, null]);
      });

      test(`the ${first} side resets: the other hears it, and nothing after`, async () => {
        const ends = await pair();
        const [resetter, other] = first === "dialled" ? [ends.a, ends.b] : [ends.b, ends.a];
        resetter.end.reset("killed");
        await resetter.whenClosed();
        await other.whenClosed();
        expect(resetter.closed).toBe("killed");
        expect(other.closed).not.toBeNull();
        expect(other.ended).toBe(false);
      });

      test(`a reset reaches the ${first} side while it holds back its peer`, async () => {
        const ends = await pair();
        const [holder, sender] = first === "dialled" ? [ends.a, ends.b] : [ends.b, ends.a];
        holder.end.backlog(64 * MIB);
        sender.end.write(new Uint8Array(100_000));
        sender.end.reset("killed");
        await holder.whenClosed();
        expect(holder.closed).not.toBeNull();
      });

      test(`the ${first} side does not read: its peer's queue grows only by what is written`, async () => {
        const ends = await pair();
        const [holder, sender] = first === "dialled" ? [ends.a, ends.b] : [ends.b, ends.a];
        holder.onBytes = () => holder.end.backlog(64 * MIB);
        holder.end.backlog(64 * MIB);
        const chunk = new Uint8Array(256 * 1024);
        let offered = 0;
        while (sender.end.write(chunk) === 0 && offered < STALL_BOUND_BYTES) {
          offered += chunk.length;
          await Bun.sleep(0);
        }
        expect(offered).toBeLessThan(STALL_BOUND_BYTES);
        expect(sender.end.write(chunk)).toBeGreaterThanOrEqual(chunk.length);
        holder.onBytes = null;
        holder.end.backlog(0);
        sender.queued = 1;
        await sender.when(() => sender.queued === 0);
        await holder.whenBytes(offered + 2 * chunk.length);
        expect(holder.bytes).toBe(offered + 2 * chunk.length);
        sender.end.reset("reset");
        await holder.whenClosed();
      });
    }

    test("a refused end closes with a reason and never opens", async () => {
      const a = new Recorder(harness.refused());
      a.end.write(new TextEncoder().encode("lost"));
      await a.whenClosed();
      expect(a.events).toEqual(["close"]);
      expect(a.closed).not.toBeNull();
    });

    test("every method may be called after onClose, and says nothing", async () => {
      const { a, b } = await pair();
      a.end.reset("killed");
      await b.whenClosed();
      for (const { end, events } of [a, b]) {
        const before = [...events];
        expect(end.write(new Uint8Array(10))).toBe(0);
        end.end();
        end.backlog(1_000_000);
        end.backlog(0);
        end.keepAlive?.();
        end.reset("reset");
        await Bun.sleep(0);
        expect(events).toEqual(before);
      }
    });

    test("writing after end() sends nothing", async () => {
      const { a, b } = await pair();
      a.end.end();
      a.end.write(new Uint8Array(10));
      await b.whenEnded();
      b.end.end();
      await b.whenClosed();
      await a.whenClosed();
      expect(b.bytes).toBe(0);
      expect([a.closed, b.closed]).toEqual([null, null]);
    });

    test("a reset before it opens closes it at once", async () => {
      // Of its own: whether the far side hears of the attempt at all is left to chance, and no other test's affair.
      const own = await makeHarness();
      const { dialled, accepted } = await own.connect();
      accepted.then(
        (end) => end.reset("reset"),
        () => undefined,
      );
      const a = new Recorder(dialled);
      a.end.reset("killed");
      await a.whenClosed();
      expect(a.events).toEqual(["close"]);
      expect(a.closed).toBe("killed");
      await own.close();
    });
  });
}
