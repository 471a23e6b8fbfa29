import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatPortSet } from "../wire/port-set.ts";
import { parseExitRule } from "./exit-rule.ts";

describe("parseExitRule reads", () => {
  const cases: [string, string, string | null][] = [
    ["127.0.0.1:22", "127.0.0.1", "22/tcp+udp"],
    ["192.168.1.0/24:80-90", "192.168.1.0/24", "80-90/tcp+udp"],
    ["192.168.1.7/24:80", "192.168.1.0/24", "80/tcp+udp"],
    ["*.corp.example:443", "*.corp.example", "443/tcp+udp"],
    ["*.Corp.Example.:443", "*.corp.example", "443/tcp+udp"],
    ["db.example.", "db.example", null],
    ["10.0.0.5:*", "10.0.0.5", null],
    ["10.0.0.5", "10.0.0.5", null],
    ["any", "*", null],
    ["Any:443", "*", "443/tcp+udp"],
    ["*", "*", null],
    ["*:53/udp", "*", "53/udp"],
    ["private:22,80", "private", "22/tcp+udp, 80/tcp+udp"],
    ["[2001:db8::1]:22", "2001:db8::1", "22/tcp+udp"],
    ["[2001:DB8::1]", "2001:db8::1", null],
    ["[2001:db8::/32]:53/udp", "2001:db8::/32", "53/udp"],
    ["[2001:db8::]/32:53", "2001:db8::/32", "53/tcp+udp"],
    ["2001:db8::/32", "2001:db8::/32", null],
    ["[::ffff:10.0.0.5]:22", "10.0.0.5", "22/tcp+udp"],
  ];
  for (const [text, host, ports] of cases) {
    test(text, () => {
      const rule = parseExitRule(text);
      if (!rule.ok) throw new Error(rule.error.message);
      expect(rule.value.host).toBe(host);
      expect(rule.value.ports === null ? null : formatPortSet({ ranges: rule.value.ports })).toBe(ports);
    });
  }
});

describe("parseExitRule points at the place", () => {
  const cases: [string, string, string][] = [
    ["", "", "Write a host name or an IP address."],
    ["10.0.0.5:", "", ""],
    ["10.0.0.5:99999", "99999", ""],
    ["10.0.0.300:22", "10.0.0.300", ""],
    ["10.0.0.0/33:22", "33", ""],
    ["a b:22", " ", ""],
    ["*.:22", "", ""],
    ["*.a..b:22", ".", ""],
    ["*.10.0.0.1:22", "*.10.0.0.1", '"*." stands before a name; for addresses write a network like 10.0.0.0/8.'],
    ["a.*.b:22", "*", ""],
    ["[2001:db8::1", "[2001:db8::1", 'Close the IPv6 address with "]".'],
    ["[2001:db8::1]22", "22", 'Write ":" and the port after "]".'],
    ["2001:db8::1", "2001:db8::1", "Put an IPv6 address in brackets and write the port after them."],
    ["10.0.0.5:80:8080", "10.0.0.5:80:8080", "Put an IPv6 address in brackets and write the port after them."],
    ["[::1]:80:8080", "80:8080", "A rule has ports to allow, not external:internal pairs."],
  ];
  for (const [text, place, message] of cases) {
    test(JSON.stringify(text), () => {
      const rule = parseExitRule(text);
      if (rule.ok) throw new Error(`read as ${JSON.stringify(rule.value)}`);
      const { offset, length } = rule.error;
      if (place !== "") expect(text.slice(offset, offset + length)).toBe(place);
      if (message !== "") expect(rule.error.message).toBe(message);
    });
  }
  test("suggests the brackets", () => {
    const rule = parseExitRule("2001:db8::1");
    expect(!rule.ok && rule.error.suggestion).toBe("[2001:db8::1]:*");
  });
});

test("any text gives a rule or an error inside it", () => {
  const piece = fc.constantFrom(
    "10.0.0.5",
    "*",
    "*.",
    "any",
    "[",
    "]",
    "::1",
    ":",
    "/",
    "8",
    "80-90",
    ",",
    "a.b",
    "/udp",
    " ",
    "é",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join("")),
      ),
      (text) => {
        const rule = parseExitRule(text);
        if (rule.ok) return;
        expect(rule.error.message.length).toBeGreaterThan(0);
        expect(rule.error.offset).toBeGreaterThanOrEqual(0);
        expect(rule.error.offset).toBeLessThanOrEqual(text.length);
      },
    ),
    { numRuns: 500 },
  );
});
