import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decodeHeader,
  encodeHeader,
  FrameParser,
  type FrameSink,
  FrameType,
  type FrameTypeCode,
  HEADER_BYTES,
  MAX_DATA_BYTES,
  MAX_PAYLOAD,
  readU32,
  writeU32,
} from "./frame.ts";

type Heard = { readonly type: number; readonly id: number; readonly payload: string };

/** Joins the parts of each DATA frame's stream, so that runs over different cuts are comparable. */
class Collector implements FrameSink {
  readonly heard: Heard[] = [];
  readonly data: { id: number; bytes: number[] }[] = [];
  onDataPart(id: number, part: Uint8Array): void {
    expect(part.length).toBeGreaterThan(0);
    const last = this.data.at(-1);
    if (last !== undefined && last.id === id) last.bytes.push(...part);
    else this.data.push({ id, bytes: [...part] });
  }
  onFrame(type: FrameTypeCode, id: number, payload: Uint8Array): void {
    this.heard.push({ type, id, payload: Buffer.from(payload).toString("hex") });
  }
}

function frame(type: number, id: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  encodeHeader(bytes, 0, type as FrameTypeCode, id, payload.length);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The least and the most a payload may have, as docs/tunnel-protocol.md says. */
const LIMITS: Record<keyof typeof FrameType, readonly [number, number]> = {
  open: [1, 1024],
  opened: [0, 0],
  refused: [1, 1],
  data: [1, 262_144],
  end: [0, 0],
  reset: [1, 1],
  credit: [4, 4],
  move: [1, 1],
  flowOpen: [1, 1024],
  datagram: [0, 65_535],
  flowClose: [1, 1],
  ping: [8, 8],
  pong: [8, 8],
  control: [1, 1_048_576],
};
const NAMES = Object.keys(LIMITS) as (keyof typeof FrameType)[];

const anyFrame = fc.constantFrom(...NAMES).chain((name) => {
  const [least, most] = LIMITS[name];
  return fc.record({
    type: fc.constant(FrameType[name]),
    id: fc.integer({ min: 0, max: 0xffff_ffff }),
    payload: fc.uint8Array({ minLength: least, maxLength: Math.min(most, 300) }),
  });
});

describe("header", () => {
  test("is the eight bytes of the document", () => {
    const bytes = new Uint8Array(HEADER_BYTES);
    encodeHeader(bytes, 0, FrameType.data, 0x8765_4321, 0x03_21_ab);
    expect(Buffer.from(bytes).toString("hex")).toBe("040321ab87654321");
  });

  for (const name of NAMES) {
    const [least, most] = LIMITS[name];
    const table: readonly (readonly [number, boolean])[] = [
      [least, true],
      [most, true],
      [least - 1, false],
      [most + 1, false],
      [0xff_ffff, false],
    ];
    for (const [length, taken] of table.filter(([length]) => length >= 0)) {
      test(`${name}: ${length} bytes are ${taken ? "taken" : "refused"}`, () => {
        const bytes = new Uint8Array(HEADER_BYTES);
        encodeHeader(bytes, 0, FrameType[name], 0xffff_fffe, length);
        const decoded = decodeHeader(bytes, 0);
        if (taken) expect(decoded).toEqual({ ok: true, value: { type: FrameType[name], id: 0xffff_fffe, length } });
        else expect(decoded).toEqual({ ok: false, error: { kind: "bad-length", type: FrameType[name], length } });
        const error = new FrameParser().push(bytes, new Collector());
        expect(error === null).toBe(taken);
      });
    }
  }

  test("refuses every type that is not listed", () => {
    const known = new Set<number>(Object.values(FrameType));
    for (let type = 0; type < 256; type++) {
      const decoded = decodeHeader(Uint8Array.of(type, 0, 0, 1, 0, 0, 0, 1), 0);
      if (!known.has(type)) expect(decoded).toEqual({ ok: false, error: { kind: "unknown-type", type, length: 1 } });
    }
  });

  test("u32 round trip", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 5 }), (value, at) => {
        const bytes = new Uint8Array(16);
        writeU32(bytes, at, value);
        expect(readU32(bytes, at)).toBe(value);
      }),
    );
  });
});

describe("FrameParser", () => {
  test("hands on what was sent, however it is cut", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 8 }), fc.array(fc.nat(3000), { maxLength: 12 }), (frames, cuts) => {
        const bytes = concat(frames.map(({ type, id, payload }) => frame(type, id, payload)));
        const whole = new Collector();
        expect(new FrameParser().push(bytes, whole)).toBeNull();
        const expected = frames.filter(({ type }) => type !== FrameType.data);
        expect(whole.heard).toEqual(
          expected.map(({ type, id, payload }) => ({ type, id, payload: Buffer.from(payload).toString("hex") })),
        );
        const inPieces = new Collector();
        const parser = new FrameParser();
        const places = [0, ...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        for (let at = 1; at < places.length; at++) {
          expect(parser.push(bytes.slice(places[at - 1], places[at]), inPieces)).toBeNull();
        }
        expect(inPieces.heard).toEqual(whole.heard);
        expect(inPieces.data).toEqual(whole.data);
      }),
    );
  });

  const sample = concat([
    frame(FrameType.open, 2, new Uint8Array(40).fill(1)),
    frame(FrameType.data, 2, new Uint8Array(30).fill(2)),
    frame(FrameType.opened, 2, new Uint8Array(0)),
    frame(FrameType.data, 2, new Uint8Array(10).fill(3)),
    frame(FrameType.datagram, 4, new Uint8Array(0)),
    frame(FrameType.credit, 2, Uint8Array.of(0, 4, 0, 0)),
    frame(FrameType.end, 2, new Uint8Array(0)),
    frame(FrameType.control, 0, new Uint8Array(50).fill(5)),
  ]);
  const once = new Collector();
  new FrameParser().push(sample, once);

  test("takes one byte at a time", () => {
    const collector = new Collector();
    const parser = new FrameParser();
    for (const byte of sample) expect(parser.push(Uint8Array.of(byte), collector)).toBeNull();
    expect(collector).toEqual(once);
  });

  test("a stream cut at any byte is no error, only unfinished; the rest completes it", () => {
    for (let at = 0; at <= sample.length; at++) {
      const collector = new Collector();
      const parser = new FrameParser();
      expect(parser.push(sample.subarray(0, at), collector)).toBeNull();
      expect(collector.heard.length).toBeLessThanOrEqual(once.heard.length);
      expect(parser.push(sample.subarray(at), collector)).toBeNull();
      expect(collector).toEqual(once);
    }
  });

  test("keeps nothing of the buffers it was given", () => {
    const collector = new Collector();
    const parser = new FrameParser();
    for (let at = 0; at < sample.length; at += 3) {
      const reused = sample.slice(at, at + 3);
      parser.push(reused, collector);
      reused.fill(0xee);
    }
    expect(collector).toEqual(once);
  });

  test("after an error it takes nothing more", () => {
    const collector = new Collector();
    const parser = new FrameParser();
    const bad = Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0);
    const error = { kind: "unknown-type", type: 99, length: 0 } as const;
    const good = frame(FrameType.opened, 2, new Uint8Array(0));
    expect(parser.push(concat([good, bad, good]), collector)).toEqual(error);
    expect(parser.push(good, collector)).toEqual(error);
    expect(collector.heard).toEqual([{ type: FrameType.opened, id: 2, payload: "" }]);
  });

  test("maxPayload bounds what a peer makes it hold, and may be raised between frames", () => {
    const parser = new FrameParser(100);
    const collector = new Collector();
    expect(parser.push(frame(FrameType.control, 0, new Uint8Array(100)), collector)).toBeNull();
    const sink: FrameSink = {
      onDataPart: () => undefined,
      onFrame: () => {
        parser.maxPayload = MAX_PAYLOAD;
      },
    };
    const long = frame(FrameType.control, 0, new Uint8Array(101));
    expect(parser.push(concat([frame(FrameType.ping, 0, new Uint8Array(8)), long]), sink)).toBeNull();
    expect(new FrameParser(100).push(long.subarray(0, HEADER_BYTES), collector)).toEqual({
      kind: "bad-length",
      type: FrameType.control,
      length: 101,
    });
  });

  test("a hostile length is refused at the header: nothing is allocated for it", () => {
    const allocated: number[] = [];
    const real = globalThis.Uint8Array;
    const watching = new Proxy(real, {
      construct(target, args) {
        if (typeof args[0] === "number") allocated.push(args[0]);
        return Reflect.construct(target, args, target);
      },
    });
    const inputs: Uint8Array[] = [];
    for (let type = 0; type < 32; type++) {
      for (const length of [65_536, MAX_DATA_BYTES, MAX_PAYLOAD, MAX_PAYLOAD + 1, 0xff_ffff]) {
        inputs.push(real.of(type, length >>> 16, length >>> 8, length, 0, 0, 0, 1, 7));
      }
    }
    globalThis.Uint8Array = watching;
    try {
      const sink: FrameSink = { onDataPart: () => undefined, onFrame: () => undefined };
      for (const bytes of inputs) new FrameParser(8192).push(bytes, sink);
    } finally {
      globalThis.Uint8Array = real;
    }
    expect(Math.max(0, ...allocated)).toBeLessThanOrEqual(8192);
  });

  test("a DATA payload is never gathered: its parts are views of what was pushed", () => {
    const bytes = frame(FrameType.data, 2, new Uint8Array(100_000).fill(9));
    const parts: Uint8Array[] = [];
    const sink: FrameSink = { onDataPart: (_id, part) => parts.push(part), onFrame: () => undefined };
    const parser = new FrameParser();
    parser.push(bytes.subarray(0, 60_000), sink);
    parser.push(bytes.subarray(60_000), sink);
    expect(parts.map((part) => part.length)).toEqual([60_000 - HEADER_BYTES, 100_000 + HEADER_BYTES - 60_000]);
    expect(parts.every((part) => part.buffer === bytes.buffer)).toBe(true);
  });

  test("random bytes never make it throw", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (chunks) => {
        const parser = new FrameParser();
        let failed = false;
        for (const chunk of chunks) {
          const error = parser.push(chunk, new Collector());
          if (failed) expect(error).not.toBeNull();
          failed = error !== null;
        }
      }),
    );
  });
});
