import { expect, test } from "bun:test";
import { nameKey, parsePersonName } from "./name.ts";

test.each<[string, string, string, string]>([
  ["plain", "ada", "ada", "ada"],
  ["in capitals", "Ada", "Ada", "ada"],
  ["with blanks around", "  ada lovelace ", "ada lovelace", "ada lovelace"],
  ["of another script", "Мария", "Мария", "мария"],
  ["an address", "ada@example.org", "ada@example.org", "ada@example.org"],
  ["composed otherwise", "Ame\u0301lie", "Amélie", "amélie"],
  ["in wide letters", "ａｄａ", "ａｄａ", "ada"],
  ["with markup, which is text", "<b>ada</b>", "<b>ada</b>", "<b>ada</b>"],
])("a name %s", (_what, text, name, key) => {
  expect(parsePersonName(text)).toEqual({ ok: true, value: { name, key } });
  expect(nameKey(text)).toBe(key);
});

test.each<[string, string]>([
  ["empty", ""],
  ["of blanks", "   "],
  ["too long", "a".repeat(65)],
  ["with a line break", "ada\nroot"],
  ["with a zero byte", "ada\0"],
  ["with text turned around", "ada\u202etoor"],
  ["with something that cannot be seen", "ada\u200b"],
  ["with a filler that cannot be seen", "ada\u3164"],
  ["with half a character", "ada\ud800"],
])("a name %s is refused", (_what, text) => {
  expect(parsePersonName(text).ok).toBe(false);
});

test("what is too long for a name is found by nothing, and remembered as nothing", () => {
  expect(nameKey("a".repeat(65))).toBe("");
  expect(nameKey(`  ${"A".repeat(64)}  `)).toBe("a".repeat(64));
});
