import { describe, expect, test } from "bun:test";
import type { Endpoint } from "../roles/control.ts";
import { Reason } from "../wire/reason.ts";
import {
  endpointTexts,
  formatAge,
  formatBytes,
  formatMs,
  formatRefused,
  formatTable,
  ignoredText,
  printable,
  printableLines,
} from "./text.ts";

describe("text", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1_500, "1.5 kB"],
    [9_960, "10 kB"],
    [20_000_000, "20 MB"],
    [999_600, "1.0 MB"],
  ])("%p bytes", (bytes, expected) => expect(formatBytes(bytes)).toBe(expected));

  test.each([
    [null, "-"],
    [0, "< 0.1 ms"],
    [1.26, "1.3 ms"],
    [41.7, "42 ms"],
  ])("%p milliseconds", (ms, expected) => expect(formatMs(ms)).toBe(expected));

  test.each([
    [-5, "0s"],
    [45_000, "45s"],
    [720_000, "12m"],
    [12_000_000, "3h 20m"],
    [187_200_000, "2d 4h"],
  ])("%p ms", (ms, expected) => expect(formatAge(ms)).toBe(expected));

  const endpoint = (protocol: "tcp" | "udp", parts: Partial<Endpoint> = {}): Endpoint => ({
    protocol,
    host: "r.example",
    port: 53,
    lastPort: 54,
    internalHost: "db",
    internalPort: 1053,
    ...parts,
  });
  test.each<[string, Endpoint[], string[]]>([
    ["one run", [endpoint("udp")], ["r.example:53-54/udp → db:1053-1054"]],
    ["both protocols", [endpoint("udp"), endpoint("tcp")], ["r.example:53-54/tcp+udp → db:1053-1054"]],
    [
      "two runs",
      [endpoint("tcp"), endpoint("udp", { internalPort: 53 })],
      ["r.example:53-54/tcp → db:1053-1054", "r.example:53-54/udp → db:53-54"],
    ],
    ["a host the relay does not know", [endpoint("tcp", { internalHost: null })], ["r.example:53-54/tcp → :1053-1054"]],
    [
      "a dynamic forward",
      [endpoint("tcp", { lastPort: 53, internalHost: null, internalPort: null })],
      ["r.example:53/tcp → where each visitor asks"],
    ],
  ])("endpoints: %s", (_, endpoints, expected) => {
    expect(endpointTexts(endpoints).map(({ entry, exit }) => `${entry} → ${exit}`)).toEqual(expected);
  });

  test.each([
    [{}, ""],
    [{ serviceRefused: 1, sourceNotAllowed: 10 }, "11 refused: source not allowed 10, service refused 1"],
    [{ idle: 2 }, "2 cut: idle 2"],
    [{ idle: 2, rateLimit: 1 }, "1 refused: rate limit 1; 2 cut: idle 2"],
  ])("refused visitors: %j", (refused, expected) => expect(formatRefused(refused)).toBe(expected));

  test("every reason has its words", () => {
    for (const reason of Object.keys(Reason)) expect(formatRefused({ [reason]: 1 })).toMatch(/^1 (refused|cut): .+ 1$/);
  });

  test("names from elsewhere cannot move the cursor", () => {
    expect(printable("a\u001b[2Jb")).toBe("a?[2Jb");
    expect(printableLines("why:\nnft \u001b[2Jx\nnft y", "  ")).toBe("why:\n  nft ?[2Jx\n  nft y");
    expect(formatTable(["A", "B"], [["x\ny", "z"]])).toBe("A    B\nx?y  z");
  });
});

test("what was ignored: other devices are no news", () => {
  const usual = { protocol: "UPnP", reason: "other-device", count: 12 };
  expect(ignoredText([usual])).toBe("");
  expect(ignoredText([usual, { protocol: "UPnP", reason: "other-host", count: 3 }])).toBe("3 UPnP other-host");
});
