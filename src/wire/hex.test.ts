import { expect, test } from "bun:test";
import { fromHex, toHex } from "./hex.ts";

test("there and back", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
  expect(toHex(bytes)).toBe(bytes.toHex());
  expect(fromHex(toHex(bytes))).toEqual(bytes);
  expect(fromHex("FFfe")).toEqual(Uint8Array.of(255, 254));
  expect(fromHex("")).toEqual(new Uint8Array());
});

test.each(["0", "0g", "0x00", " 00", "00\n"])("%p is none", (text) => {
  expect(fromHex(text)).toBeNull();
});
