import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatKey, KEY_BYTES, keyBytes, NO_KEY, parseKey } from "./key.ts";

const bytes32 = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES });

describe("a WireGuard key", () => {
  test("is 32 bytes and back, in the spelling of base64", () => {
    fc.assert(
      fc.property(bytes32, (bytes) => {
        const text = formatKey(bytes);
        expect(text).toBe(Buffer.from(bytes).toString("base64") as typeof text);
        expect(parseKey(text)).toEqual({ ok: true, value: text });
        expect(keyBytes(text)).toEqual(bytes);
      }),
    );
  });

  test.each([
    ["nothing", ""],
    ["a character too few", NO_KEY.slice(1)],
    ["a character too many", `A${NO_KEY}`],
    ["no padding", `${NO_KEY.slice(0, 43)}A`],
    ["spare bits that are not zero", `${NO_KEY.slice(0, 42)}B=`],
    ["base64url", `-${NO_KEY.slice(1)}`],
    ["a line after it", `${NO_KEY}\n`],
    ["hexadecimal", "00".repeat(KEY_BYTES)],
  ])("%s is none, and the error keeps the text to itself", (_what, text) => {
    const parsed = parseKey(text);
    expect(parsed.ok).toBe(false);
    if (parsed.ok) return;
    expect(parsed.error.length).toBe(text.length);
    if (text !== "") expect(parsed.error.message).not.toContain(text);
  });

  test("of another length is a fault of the program", () => {
    expect(() => formatKey(new Uint8Array(31))).toThrow(RangeError);
  });
});
