import { expect, test } from "bun:test";
import { tidiedXml } from "./tidied-xml.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  ["as it is", utf8("<a>é</a>"), "<a>é</a>"],
  ["zeros behind it", Uint8Array.of(0x3c, 0x61, 0, 0), "<a"],
  ["Latin-1", Uint8Array.of(0x3c, 0xe9), "<é"],
  ["nothing", new Uint8Array(0), ""],
  ["zeros alone", new Uint8Array(3), ""],
  ["over the limit it is not looked at", Uint8Array.from({ length: 11 }, () => 0x61), "aaaaaaaaaaa"],
])("%s", (_name, bytes, expected) => {
  expect(new TextDecoder().decode(tidiedXml(bytes, 10))).toBe(expected);
});
