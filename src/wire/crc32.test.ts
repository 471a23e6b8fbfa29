import { expect, test } from "bun:test";
import { crc32 } from "./crc32.ts";

test.each([
  ["", 0],
  // The check value of CRC-32/ISO-HDLC in the CRC catalogues.
  ["123456789", 0xcbf4_3926],
  ["a", 0xe8b7_be43],
])("crc32(%p)", (text, sum) => {
  expect(crc32(new TextEncoder().encode(text))).toBe(sum);
});
