import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { describeByteEnd } from "../../../test/contract/byte-end.ts";
import { Recorder } from "../../../test/contract/recorder.ts";
import { type Link, makeZoo, openStream, SOMEWHERE, TunnelLab } from "../../../test/fixtures/tunnel-lab.ts";
import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from "../../core/tunnel/window.ts";
import type { ByteEnd } from "../io/ends.ts";
import type { Session } from "./session.ts";

const zoo = await makeZoo();
/** The accepting side refuses streams to this port. */
const REFUSED_PORT = 1;

for (const opener of ["relay", "agent"] as const) {
  describeByteEnd(`a tunnel stream that the ${opener} opens`, async () => {
    const lab = new TunnelLab(zoo);
    const link = await lab.connect("device");
    const acceptor = opener === "relay" ? link.agent : lab.atRelay;
    const session = opener === "relay" ? link.relaySession : link.agentSession;
    const accepts: ((end: ByteEnd) => void)[] = [];
    acceptor.onStream = (stream, request) => {
      if (request.kind === "forward" && request.externalPort === REFUSED_PORT) stream.reset("serviceRefused");
      else accepts.shift()?.(stream);
    };
    return {
      connect() {
        const { promise, resolve } = Promise.withResolvers<ByteEnd>();
        accepts.push((end) => {
          // The harness sets its sink a turn later: until then nothing may be lost.
          hold(end);
          resolve(end);
        });
        return Promise.resolve({ dialled: openStream(session), accepted: promise });
      },
      refused: () => openStream(session, { ...SOMEWHERE, kind: "forward", externalPort: REFUSED_PORT } as never),
      close: () => lab.close(),
    };
  });
}

/** Keeps what comes before the real sink is set, and hands it on then. */
function hold(end: ByteEnd): void {
  const early: ((sink: ByteEnd["sink"]) => void)[] = [];
  let sink: ByteEnd["sink"] = {
    onOpen: () => early.push((to) => to.onOpen()),
    onData: (bytes) => {
      const copy = bytes.slice();
      early.push((to) => to.onData(copy));
    },
    onDrain: (queued) => early.push((to) => to.onDrain(queued)),
    onEnd: () => early.push((to) => to.onEnd()),
    onClose: (reason) => early.push((to) => to.onClose(reason)),
  };
  Object.defineProperty(end, "sink", {
    get: () => sink,
    set(next: ByteEnd["sink"]) {
      sink = next;
      for (const event of early.splice(0)) event(next);
    },
  });
}

/** Deterministic bytes: what a stream sends at position n is a function of its seed and n. */
class Pattern {
  #state: number;
  readonly #hash = new Bun.CryptoHasher("sha256");
  bytes = 0;
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }
  random(below: number): number {
    // xorshift32 (Marsaglia 2003).
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }
  take(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    const words = new Uint32Array(bytes.buffer, 0, count >> 2);
    for (let at = 0; at < words.length; at++) words[at] = this.random(0xffff_ffff);
    for (let at = words.length << 2; at < count; at++) bytes[at] = this.random(256);
    this.add(bytes);
    return bytes;
  }
  add(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#hash.update(bytes);
  }
  digest(): string {
    return this.#hash.digest("hex");
  }
}

const SIZES = [1, 17, 100, 1_400, 8_191, 8_192, 20_000, 65_536, 200_000];

describe("a stream under load", () => {
  let lab: TunnelLab;
  let link: Link;
  beforeAll(async () => {
    lab = new TunnelLab(zoo);
    link = await lab.connect("device");
  });
  afterAll(() => lab.close());

  const pairs = async (count: number, opener: Session, acceptor: Link["agent"]) => {
    const made: { readonly a: Recorder; readonly b: Recorder }[] = [];
    for (let at = 0; at < count; at++) {
      const accepted = Promise.withResolvers<Recorder>();
      acceptor.onStream = (stream) => {
        accepted.resolve(new Recorder(stream));
        stream.opened?.();
      };
      const a = new Recorder(openStream(opener));
      made.push({ a, b: await accepted.promise });
    }
    return made;
  };

  /** Bursts of mixed sizes with calm between them, so that the lane changes both ways. */
  const send = async (from: Recorder, seed: number, total: number): Promise<string> => {
    const pattern = new Pattern(seed);
    while (pattern.bytes < total) {
      const size = SIZES[pattern.random(SIZES.length)] as number;
      from.queued = from.end.write(pattern.take(size));
      if (from.queued > 0) await from.when(() => from.queued === 0);
      const dice = pattern.random(100);
      if (dice < 30) await new Promise(setImmediate);
      // A jump of the clock: calm enough for the lane to turn light again.
      if (dice < 4) lab.clock.aheadMs += 1_500;
    }
    from.end.end();
    return pattern.digest();
  };

  /** Reads with pauses: reports a backlog now and then, and frees it some turns later. */
  const receive = async (at: Recorder, seed: number): Promise<string> => {
    const pattern = new Pattern(seed);
    const hash = new Pattern(1);
    at.onBytes = (bytes) => {
      hash.add(bytes);
      if (pattern.random(50) !== 0) return;
      at.end.backlog(bytes.length + pattern.random(100_000));
      setTimeout(() => at.end.backlog(0), pattern.random(3));
    };
    await at.whenClosed();
    return hash.digest();
  };

  test(
    "moves between lanes without a byte lost or out of order: 8 streams, both ways",
    async () => {
      const streams = [
        ...(await pairs(4, link.relaySession, link.agent)),
        ...(await pairs(4, link.agentSession, lab.atRelay)),
      ];
      const total = 6_000_000;
      const outcomes = await Promise.all(
        streams.map(async ({ a, b }, index) => {
          const atB = receive(b, 100 + index);
          const atA = receive(a, 200 + index);
          const sentA = send(a, 300 + index, total);
          const sentB = send(b, 400 + index, total);
          return { there: [await sentA, await atB], back: [await sentB, await atA], ends: [a.closed, b.closed] };
        }),
      );
      for (const { there, back, ends } of outcomes) {
        expect(there[0]).toBe(there[1] as string);
        expect(back[0]).toBe(back[1] as string);
        expect(ends).toEqual([null, null]);
      }
      expect([link.relaySession.openStreams, link.agentSession.openStreams]).toEqual([0, 0]);
      expect(lab.relayBudget.usedBytes).toBe(0);
    },
    { timeout: 60_000 },
  );

  test("a stalled reader holds its window at most, while another stream goes on", async () => {
    const [stalled, other] = await pairs(2, link.relaySession, link.agent);
    if (stalled === undefined || other === undefined) throw new Error("no streams");
    let held = 0;
    stalled.b.onBytes = (bytes) => {
      held += bytes.length;
      stalled.b.end.backlog(held);
    };
    const chunk = new Uint8Array(64 * 1024);
    while (stalled.a.end.write(chunk) === 0) await new Promise(setImmediate);
    for (let more = 0; more < 50; more++) stalled.a.end.write(chunk);
    other.a.pour(30_000_000).then(() => other.a.end.end(), undefined);
    await other.b.whenEnded();
    expect(other.b.bytes).toBe(30_000_000);
    expect(held).toBe(INITIAL_WINDOW_BYTES);
    held = 0;
    stalled.b.onBytes = null;
    stalled.b.end.backlog(0);
    await stalled.b.whenBytes(INITIAL_WINDOW_BYTES + 50 * chunk.length);
    stalled.a.end.reset("killed");
    other.b.end.end();
    await Promise.all([stalled.b.whenClosed(), other.a.whenClosed()]);
  });

  test("a reader that keeps up gets a larger window, which the end gives back", async () => {
    const [pair] = await pairs(1, link.relaySession, link.agent);
    if (pair === undefined) throw new Error("no stream");
    const budget = link.options.budget;
    let most = 0;
    pair.b.onBytes = () => {
      most = Math.max(most, budget.usedBytes);
    };
    await pair.a.pour(100_000_000);
    pair.a.end.end();
    await pair.b.whenEnded();
    expect(most).toBeGreaterThan(INITIAL_WINDOW_BYTES);
    expect(most).toBeLessThanOrEqual(MAX_WINDOW_BYTES);
    pair.b.end.end();
    await pair.a.whenClosed();
    expect(budget.usedBytes).toBe(0);
  });

  test("REFUSED closes the opener before it opened, with the acceptor's reason", async () => {
    link.agent.onStream = (stream) => stream.reset("serviceTimeout");
    const a = new Recorder(openStream(link.relaySession));
    a.end.write(new Uint8Array(300_000));
    await a.whenClosed();
    expect(a.events).toEqual(["close"]);
    expect(a.closed).toBe("serviceTimeout");
  });

  test("RESET carries the reason, either way", async () => {
    const [first, second] = await pairs(2, link.relaySession, link.agent);
    first?.a.end.reset("idle");
    second?.b.end.reset("connectionLimit");
    await Promise.all([first?.b.whenClosed(), second?.a.whenClosed()]);
    expect([first?.b.closed, second?.a.closed]).toEqual(["idle", "connectionLimit"]);
  });

  test("100,000 writes of one byte arrive as they were", async () => {
    const [pair] = await pairs(1, link.agentSession, lab.atRelay);
    if (pair === undefined) throw new Error("no stream");
    const hash = new Pattern(1);
    pair.b.onBytes = (bytes) => hash.add(bytes);
    const pattern = new Pattern(9);
    for (let at = 0; at < 100_000; at++) {
      pair.a.queued = pair.a.end.write(pattern.take(1));
      if (pair.a.queued > 0) await pair.a.when(() => pair.a.queued === 0);
    }
    pair.a.end.end();
    await pair.b.whenEnded();
    expect(hash.digest()).toBe(pattern.digest());
    pair.b.end.end();
    await pair.a.whenClosed();
  });
});
