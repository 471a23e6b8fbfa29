import { describe, expect, test } from "bun:test";
import { sameText, stepOfCode } from "./totp.ts";

/** The codes of steps 98 to 102 are 000098 to 000102. */
const codeAt = (step: number): string => `${step}`.padStart(6, "0");
const IN_STEP_100_MS = 100 * 30_000 + 12_345;

test.each<[string, string, number | null, number | null]>([
  ["of now", "000100", null, 100],
  ["of the step before", "000099", null, 99],
  ["of the next step", "000101", null, 101],
  ["two steps old", "000098", null, null],
  ["two steps early", "000102", null, null],
  ["wrong", "123456", null, null],
  ["of now, used already", "000100", 100, null],
  ["older than one that was used", "000099", 100, null],
  ["newer than one that was used", "000101", 100, 101],
  ["written with a space", "000 100", null, 100],
  ["too short", "00010", null, null],
  ["too long", "0001000", null, null],
  ["empty", "", null, null],
])("a code %s", (_what, code, lastStep, expected) => {
  expect(stepOfCode(code, codeAt, lastStep, IN_STEP_100_MS)).toBe(expected);
});

test("every step of the window is computed, whichever is right", () => {
  for (const code of ["000099", "000100", "000101", "999999"]) {
    const asked: number[] = [];
    const noting = (step: number): string => {
      asked.push(step);
      return codeAt(step);
    };
    stepOfCode(code, noting, null, IN_STEP_100_MS);
    expect(asked).toEqual([99, 100, 101]);
  }
});

describe("same text", () => {
  test.each([
    ["abc", "abc", true],
    ["abc", "abd", false],
    ["ab", "abc", false],
    ["abcd", "abc", false],
    ["", "", true],
    ["", "a", false],
  ])("%p and %p: %p", (given, wanted, same) => expect(sameText(given, wanted)).toBe(same));
});
