import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Endpoint } from "../endpoint.ts";
import { decodeOpen, encodeOpen, type OpenRequest } from "./open.ts";

const V4: Endpoint = { address: "192.0.2.7", port: 40_000 };
const V6: Endpoint = { address: "2001:db8::7", port: 8840 };

const FORWARD: OpenRequest = { kind: "forward", handle: 0xdead_beef, externalPort: 8840, visitor: V4, entry: V6 };
const DIAL: OpenRequest = { kind: "dial", device: "nas", host: "db.example", port: 5432, visitor: V6, entry: V4 };

function hex(request: OpenRequest): string {
  const bytes = encodeOpen(request);
  if (!bytes.ok) throw new Error(bytes.error.kind);
  return Buffer.from(bytes.value).toString("hex");
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

describe("bytes, as docs/tunnel-protocol.md shows them", () => {
  const v4 = "04 c0000207 9c40";
  const v6 = "10 20010db8000000000000000000000007 2288";
  const table: readonly (readonly [string, OpenRequest, string])[] = [
    ["forward", FORWARD, `01 deadbeef 2288 ${v4} ${v6}`],
    ["dial", DIAL, `02 03 6e6173 0a 64622e6578616d706c65 1538 ${v6} ${v4}`],
    ["dial at the relay itself", { ...DIAL, device: "" }, `02 00 0a 64622e6578616d706c65 1538 ${v6} ${v4}`],
  ];
  for (const [name, request, expected] of table) {
    test(name, () => {
      expect(hex(request)).toBe(expected.replaceAll(" ", ""));
      expect(decodeOpen(bytesOf(expected))).toEqual({ ok: true, value: request });
    });
  }
});

describe("what is refused", () => {
  const end = "04 c0000207 9c40 04 c0000207 9c40";
  const table: readonly (readonly [string, string, string])[] = [
    ["nothing", "", "truncated"],
    ["an unknown kind", "03 00", "unknown-kind"],
    ["kind 0", `00 ${end}`, "unknown-kind"],
    ["an address of 5 bytes", `01 00000001 0050 05 c000020701 9c40 04 c0000207 9c40`, "bad-address"],
    ["an address of 0 bytes", "01 00000001 0050 00 9c40 04 c0000207 9c40", "bad-address"],
    ["a byte too many", `01 00000001 0050 ${end} 00`, "trailing"],
    ["a name that is not UTF-8", `02 01 ff 01 61 0050 ${end}`, "bad-text"],
    ["an overlong encoding", `02 00 02 c080 0050 ${end}`, "bad-text"],
    ["a lone surrogate", `02 00 03 eda080 0050 ${end}`, "bad-text"],
    ["a name longer than what is there", "02 00 ff 61", "truncated"],
  ];
  for (const [name, input, kind] of table) {
    test(name, () => {
      const decoded = decodeOpen(bytesOf(input));
      expect(decoded.ok ? "taken" : decoded.error.kind).toBe(kind as never);
    });
  }

  for (const request of [FORWARD, DIAL]) {
    test(`${request.kind} cut at every byte`, () => {
      const whole = bytesOf(hex(request));
      for (let at = 0; at < whole.length; at++) {
        const decoded = decodeOpen(whole.subarray(0, at));
        expect(decoded.ok ? "taken" : decoded.error.kind).toBeOneOf(["truncated", "bad-address"]);
      }
    });
  }

  test("names over 255 bytes are not encoded", () => {
    expect(encodeOpen({ ...DIAL, host: "a".repeat(255) } as OpenRequest).ok).toBe(true);
    expect(encodeOpen({ ...DIAL, host: "a".repeat(256) } as OpenRequest)).toEqual({
      ok: false,
      error: { kind: "too-long" },
    });
    expect(encodeOpen({ ...DIAL, device: "é".repeat(128) } as OpenRequest)).toEqual({
      ok: false,
      error: { kind: "too-long" },
    });
  });

  test("an address that is none is not encoded", () => {
    expect(encodeOpen({ ...FORWARD, visitor: { address: "somewhere", port: 1 } } as OpenRequest)).toEqual({
      ok: false,
      error: { kind: "bad-address" },
    });
  });
});

const port = fc.integer({ min: 0, max: 65_535 });
const endpoint = fc.record({ address: fc.oneof(fc.ipV4(), fc.constantFrom("2001:db8::1", "::", "fe80::1")), port });
/** Whole code points only: a lone surrogate is no text. */
const name = fc.string({ unit: "binary", maxLength: 60 });

test("round trip", () => {
  const request: fc.Arbitrary<OpenRequest> = fc.oneof(
    fc.record({
      kind: fc.constant("forward" as const),
      handle: fc.integer({ min: 0, max: 0xffff_ffff }),
      externalPort: port,
      visitor: endpoint,
      entry: endpoint,
    }),
    fc.record({
      kind: fc.constant("dial" as const),
      device: name,
      host: name,
      port,
      visitor: endpoint,
      entry: endpoint,
    }),
  );
  fc.assert(
    fc.property(request, (value) => {
      const bytes = encodeOpen(value);
      if (!bytes.ok) throw new Error(bytes.error.kind);
      expect(bytes.value.length).toBeLessThanOrEqual(1024);
      expect(decodeOpen(bytes.value)).toEqual({ ok: true, value });
    }),
  );
});

test("names of every length come back", () => {
  const ends = { address: "2001:db8::1", port: 443 };
  for (let length = 0; length <= 255; length++) {
    const value: OpenRequest = {
      kind: "dial",
      device: "",
      host: "h".repeat(length),
      port: 22,
      visitor: ends,
      entry: ends,
    };
    const bytes = encodeOpen(value);
    expect(bytes.ok && decodeOpen(bytes.value)).toEqual({ ok: true, value });
  }
});

test("random bytes never make it throw, and what it takes encodes to itself", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0, 1, 2), (bytes, kind) => {
      bytes[0] = kind;
      const decoded = decodeOpen(bytes);
      if (!decoded.ok) return;
      const again = encodeOpen(decoded.value);
      expect(again.ok && decodeOpen(again.value)).toEqual(decoded);
    }),
  );
});
