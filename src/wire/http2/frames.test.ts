import { describe, expect, test } from "bun:test";
import { encodeFrameHead, FLAG, type FrameHead, FrameReader, kindOf, PREFACE, typeOf } from "./frames.ts";

const HEADS: [string, FrameHead][] = [
  ["SETTINGS", { type: 4, flags: 0, stream: 0, payloadBytes: 6 }],
  ["HEADERS", { type: 1, flags: FLAG.endHeaders | FLAG.endStream, stream: 1, payloadBytes: 300 }],
  ["DATA of nothing", { type: 0, flags: FLAG.endStream, stream: 0x7fff_ffff, payloadBytes: 0 }],
  ["the longest", { type: 0, flags: 0, stream: 3, payloadBytes: 0xff_ffff }],
  ["an unknown one", { type: 200, flags: 255, stream: 5, payloadBytes: 1 }],
];
for (const [name, head] of HEADS) {
  test(`${name} comes out as it went in`, () => {
    const heads: FrameHead[] = [];
    const reader = new FrameReader();
    const bytes = Buffer.concat([PREFACE, encodeFrameHead(head)]);
    expect(reader.feed(bytes, (one) => heads.push(one) > 0)).toBe(true);
    expect(heads).toEqual([head]);
  });
}

const STREAM = Buffer.concat([
  PREFACE,
  ...HEADS.filter(([, { payloadBytes }]) => payloadBytes < 1_000).flatMap(([, head]) => [
    encodeFrameHead(head),
    Buffer.alloc(head.payloadBytes, 0xff),
  ]),
]);
function headsOf(pieces: readonly Uint8Array[]): FrameHead[] {
  const reader = new FrameReader();
  const heads: FrameHead[] = [];
  for (const piece of pieces) reader.feed(piece, (head) => heads.push(head) > 0);
  return heads;
}

describe("frames one after the other", () => {
  const whole = headsOf([STREAM]);
  test("whole", () => expect(whole.map(kindOf)).toEqual(["settings", "headers", "data", "other"]));
  test("byte by byte", () => expect(headsOf([...STREAM].map((byte) => Uint8Array.of(byte)))).toEqual(whole));
  test("cut anywhere, and none that is not whole", () => {
    for (let at = 0; at <= STREAM.length; at++) {
      expect(headsOf([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(whole);
      expect(headsOf([STREAM.subarray(0, at)])).toEqual(whole.slice(0, headsOf([STREAM.subarray(0, at)]).length));
    }
  });
  test("not beyond the one that is refused", () => {
    let seen = 0;
    const refused = new FrameReader().feed(STREAM, () => {
      seen += 1;
      return seen < 2;
    });
    expect([refused, seen]).toEqual([false, 2]);
  });
});

test("each kind has its type", () => {
  for (const kind of ["data", "reset", "ping", "continuation"] as const)
    expect(kindOf({ type: typeOf(kind) })).toBe(kind);
});
