import { describe, expect, test } from "bun:test";
import { newRandom } from "../../../test/fuzz/random.ts";
import { MAX_PAYLOAD_BYTES, parsePayload } from "./payload.ts";

describe("a payload", () => {
  test.each([
    ["hello", "68656c6c6f"],
    ["GET / HTTP/1.0\\r\\n\\r\\n", "474554202f20485454502f312e300d0a0d0a"],
    ["\\x00\\xff\\\\", "00ff5c"],
    ["\\0\\t", "0009"],
    ["é", "c3a9"],
    ["👋", "f09f918b"],
    ["hex:fffe01", "fffe01"],
    ["hex:FF FE 01", "fffe01"],
    ["hex:ff:fe:01", "fffe01"],
    ["hexagon", "68657861676f6e"],
  ])("%s", (text, hex) => {
    const parsed = parsePayload(text);
    expect(parsed.ok ? parsed.value.toHex() : parsed.error.message).toBe(hex);
  });

  test.each([
    ["", 0, 0],
    ["hex:", 0, 4],
    ["hex:0g", 5, 1],
    ["hex:012", 6, 1],
    ["a\\q", 1, 2],
    ["a\\", 1, 1],
    ["a\\x0", 1, 2],
    ["x".repeat(MAX_PAYLOAD_BYTES + 1), 0, MAX_PAYLOAD_BYTES + 1],
  ])("%s is refused, and the place is named", (text, offset, length) => {
    expect(parsePayload(text)).toMatchObject({ ok: false, error: { offset, length } });
  });

  test("random text never throws, and points into itself", () => {
    const random = newRandom(5);
    const signs = ["\\", "x", "0", "f", "g", "hex:", " ", "é", "\ud800", "👋", "n"];
    for (let run = 0; run < 5_000; run++) {
      const text = Array.from({ length: random.below(12) }, () => signs[random.below(signs.length)]).join("");
      const parsed = parsePayload(text);
      if (parsed.ok) expect(parsed.value.length).toBeGreaterThan(0);
      else expect(parsed.error.offset + parsed.error.length).toBeLessThanOrEqual(text.length);
    }
  });
});
