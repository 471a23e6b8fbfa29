import { describe, expect, test } from "bun:test";
import { parseBandwidth, parseDuration, parseRate } from "./units.ts";

describe("units", () => {
  test.each([
    ["90s", 90],
    ["10m", 600],
    ["2h", 7_200],
    ["1d", 86_400],
    ["0s", null],
    ["1w", null],
    ["-5s", null],
    ["", null],
  ])("duration %p", (text, expected) => {
    const parsed = parseDuration(text);
    expect(parsed.ok ? parsed.value : null).toBe(expected);
  });

  test.each([
    ["10 MB/s", 10_000_000],
    ["100 Mbit/s", 12_500_000],
    ["1 MiB/s", 1_048_576],
    ["500kB/s", 500_000],
    ["2.5 Gbit/s", 312_500_000],
    ["800 bit/s", 100],
    ["10 Mbps", null],
    ["10 mb/s", null],
    ["0 B/s", null],
    ["10", null],
  ])("bandwidth %p", (text, expected) => {
    const parsed = parseBandwidth(text);
    expect(parsed.ok ? parsed.value : null).toBe(expected);
  });

  test.each([
    ["5/s", 5],
    ["300/m", 5],
    ["0/s", null],
    ["5", null],
  ])("rate %p", (text, expected) => {
    const parsed = parseRate(text);
    expect(parsed.ok ? parsed.value : null).toBe(expected);
  });
});
