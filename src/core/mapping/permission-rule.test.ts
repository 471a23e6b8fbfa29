import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatPermissionRule, parsePermissionRule } from "./permission-rule.ts";

describe("parsePermissionRule reads, and formatPermissionRule writes", () => {
  const cases: [string, string][] = [
    ["allow 1024-65535 192.168.1.0/24 1024-65535", "allow 1024-65535 192.168.1.0/24 1024-65535"],
    ["  DENY\t25  10.0.0.7   * ", "deny 25 10.0.0.7/32 *"],
    ["deny 0-65535 0.0.0.0/0 0-65535", "deny * 0.0.0.0/0 *"],
    ["deny * any any", "deny * * *"],
    ["deny 1-65535 * 1-65535", "deny * * *"],
    ["allow 443, 80 192.168.1.77/24 80,443", "allow 80,443 192.168.1.0/24 80,443"],
    ["allow 80 , 443 10.0.0.0/8 *", "allow 80,443 10.0.0.0/8 *"],
    ["allow 51820/udp 2001:DB8::/32 51820/udp", "allow 51820/udp 2001:db8::/32 51820/udp"],
    ["allow */udp fd00::1 0-65535/udp", "allow 1-65535/udp fd00::1/128 1-65535/udp"],
    ["allow 80/tcp,80/udp * 1-65535/tcp+udp", "allow 80 * *"],
    ["allow 50-60/tcp,55-70/udp * *", "allow 50-54/tcp,55-60,61-70/udp * *"],
    ["allow 80,81,82-90 * *", "allow 80-90 * *"],
  ];
  for (const [text, canonical] of cases) {
    test(text, () => {
      const rule = parsePermissionRule(text);
      if (!rule.ok) throw new Error(rule.error.message);
      expect(formatPermissionRule(rule.value)).toBe(canonical);
      expect(parsePermissionRule(canonical)).toEqual(rule);
    });
  }
});

describe("parsePermissionRule points at the place", () => {
  const cases: [string, string, string][] = [
    ["", "", "Write a rule like allow 1024-65535 192.168.1.0/24 1024-65535."],
    ["alow 80 * *", "alow", 'Begin the rule with allow or deny, not "alow".'],
    ["constructor 80 * *", "constructor", 'Begin the rule with allow or deny, not "constructor".'],
    ["allow", "", "Add the external ports, as in allow 1024-65535 192.168.1.0/24 1024-65535."],
    ["allow 80", "", "Add the client's network, as in allow 1024-65535 192.168.1.0/24 1024-65535."],
    ["allow 80 *", "", "Add the client's ports, as in allow 1024-65535 192.168.1.0/24 1024-65535."],
    ["allow 10.0.0.0/8 80 80", "10.0.0.0/8", "Write the external ports before the client's network."],
    ["allow 80-70 * *", "80-70", "Write the lower port first."],
    ["allow 80,99999 * *", "99999", ""],
    ["allow 80, * *", "*", ""],
    ["allow 80 10.0.0.0/33 *", "33", ""],
    ["allow 80 nas.lan *", "nas.lan", ""],
    ["allow 80 * 8080/sctp", "sctp", ""],
    [
      "allow 8080:80 * *",
      "8080:80",
      "Write the external ports and the client's apart, not as external:internal pairs.",
    ],
    ['allow 80 * 80 "My evil app"', '"My evil app"', "Remove what follows the client's ports; a rule ends there."],
    [
      "allow 80/tcp * 80/udp",
      "80/udp",
      "Name the same protocol for the external ports and the client's; this rule would never match.",
    ],
  ];
  for (const [text, place, message] of cases) {
    test(JSON.stringify(text), () => {
      const rule = parsePermissionRule(text);
      if (rule.ok) throw new Error(`read as ${formatPermissionRule(rule.value)}`);
      const { offset, length } = rule.error;
      expect(text.slice(offset, offset + length)).toBe(place);
      if (message !== "") expect(rule.error.message).toBe(message);
    });
  }
  test("suggests the word", () => {
    for (const [word, meant] of [
      ["accept", "allow"],
      ["DROP", "deny"],
    ]) {
      const rule = parsePermissionRule(`${word} 80 * *`);
      expect(!rule.ok && rule.error.suggestion).toBe(meant!);
    }
  });
  test("a rule longer than a line", () => {
    const rule = parsePermissionRule(`allow ${"1,".repeat(4096)}`);
    expect(!rule.ok && rule.error.message).toContain("at most 4096 characters");
  });
});

test("any text gives a rule that prints and reads back, or an error inside it", () => {
  const piece = fc.constantFrom(
    "allow",
    "deny",
    "80",
    "1-9",
    "/udp",
    "/tcp",
    ",",
    " ",
    " ",
    "*",
    "any",
    "::1/64",
    "1.2.3.4",
    ":",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
    fc
      .array(fc.constantFrom("80", "1-9,20/udp", "*", "7/tcp", "10.0.0.0/8", "any"), { minLength: 3, maxLength: 3 })
      .map((fields) => `allow ${fields.join(" ")}`),
  );
  fc.assert(
    fc.property(text, (input) => {
      const rule = parsePermissionRule(input);
      if (rule.ok) {
        expect(parsePermissionRule(formatPermissionRule(rule.value))).toEqual(rule);
        return;
      }
      expect(rule.error.message.length).toBeGreaterThan(0);
      expect(rule.error.offset).toBeGreaterThanOrEqual(0);
      expect(rule.error.offset + rule.error.length).toBeLessThanOrEqual(input.length);
    }),
    { numRuns: 1000 },
  );
});
