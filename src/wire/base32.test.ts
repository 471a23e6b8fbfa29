import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeBase32, encodeBase32 } from "./base32.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

describe("base32", () => {
  // RFC 4648 section 10, in lower case and without padding.
  const vectors: [plain: string, coded: string][] = [
    ["", ""],
    ["f", "my"],
    ["fo", "mzxq"],
    ["foo", "mzxw6"],
    ["foob", "mzxw6yq"],
    ["fooba", "mzxw6ytb"],
    ["foobar", "mzxw6ytboi"],
  ];
  test.each(vectors)("%p is %p", (plain, coded) => {
    expect(encodeBase32(ascii(plain))).toBe(coded);
    expect(decodeBase32(coded)).toEqual({ bytes: ascii(plain), exact: true });
  });

  test.each([
    ["a spare bit that is not zero", "mz"],
    ["a character that no byte needs", "mya"],
    ["one character, which holds no byte", "m"],
  ])("%s is not exact", (_what, coded) => {
    expect(decodeBase32(coded)?.exact).toBe(false);
  });

  test.each(["0", "1", "8", "9", "A", "=", "-", "é", "😀"])("%p is not base32", (character) => {
    expect(decodeBase32(`my${character}`)).toBeNull();
  });

  test("round trip", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(decodeBase32(encodeBase32(bytes))).toEqual({ bytes: new Uint8Array(bytes), exact: true });
      }),
    );
  });
});
