import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Protocol } from "../../wire/port-set.ts";
import { compilePermissions, decide, type Permissions, permittedPorts } from "./permission.ts";
import { formatPermissionRule, parsePermissionRule } from "./permission-rule.ts";

function list(...lines: string[]): Permissions {
  return compilePermissions(
    lines.map((line) => {
      const rule = parsePermissionRule(line);
      if (!rule.ok) throw new Error(`${line}: ${rule.error.message}`);
      return rule.value;
    }),
  );
}

const HOME = list(
  "deny 6667/tcp * *",
  "allow 1024-65535 192.168.1.0/24 1024-65535",
  "allow 2222 192.168.1.7 22/tcp",
  "allow 3000-3999 fd00::/64 *",
  "deny * * *",
);

/** External port/protocol, client, internal port → the rule that decided. */
describe("the first match decides", () => {
  const cases: [string, Permissions, [number, Protocol, string, number], string][] = [
    ["a high port", HOME, [5000, "tcp", "192.168.1.9", 5000], "allow 1024-65535 192.168.1.0/24 1024-65535"],
    ["a rule before it", HOME, [6667, "tcp", "192.168.1.9", 6667], "deny 6667/tcp * *"],
    ["the other protocol", HOME, [6667, "udp", "192.168.1.9", 6667], "allow 1024-65535 192.168.1.0/24 1024-65535"],
    ["a low port inside", HOME, [2222, "tcp", "192.168.1.9", 22], "deny * * *"],
    ["a low port of the one who may", HOME, [2222, "tcp", "192.168.1.7", 22], "allow 2222 192.168.1.7/32 22/tcp"],
    ["a low port outside", HOME, [80, "tcp", "192.168.1.9", 8080], "deny * * *"],
    ["another network", HOME, [5000, "tcp", "192.168.2.9", 5000], "deny * * *"],
    ["IPv6", HOME, [3000, "tcp", "fd00::9", 80], "allow 3000-3999 fd00::/64 *"],
    ["no rule", list("allow 80 10.0.0.0/8 80"), [81, "tcp", "10.0.0.1", 80], "denied, no rule"],
    ["an empty list", list(), [5000, "tcp", "192.168.1.9", 5000], "denied, no rule"],
    ["IPv4 any is not IPv6 any", list("allow * 0.0.0.0/0 *"), [5000, "udp", "fd00::1", 5000], "denied, no rule"],
    ["any is both", list("allow * any *"), [5000, "udp", "fd00::1", 5000], "allow * * *"],
    ["a text that is no address", list("allow * 0.0.0.0/0 *"), [5000, "udp", "localhost", 5000], "denied, no rule"],
  ];
  for (const [name, permissions, [externalPort, protocol, client, internalPort], expected] of cases) {
    test(name, () => {
      const decision = decide(permissions, { protocol, client, internalPort }, externalPort);
      const rule = decision.ok ? decision.value : decision.error;
      expect(rule === null ? "denied, no rule" : formatPermissionRule(rule)).toBe(expected);
      expect(decision.ok).toBe(expected.startsWith("allow"));
    });
  }
});

test("permittedPorts is every port that decide allows", () => {
  const small = fc.integer({ min: 1, max: 12 });
  const ports = fc
    .tuple(small, small, fc.constantFrom("", "/tcp", "/udp"))
    .map(([a, b, suffix]) => `${Math.min(a, b)}-${Math.max(a, b)}${suffix}`);
  const line = fc
    .tuple(fc.constantFrom("allow", "deny"), ports, fc.constantFrom("*", "10.0.0.0/8", "10.0.0.1", "::/0"), ports)
    .map((fields) => fields.join(" "));
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 6 }),
      fc.constantFrom<Protocol>("tcp", "udp"),
      fc.constantFrom("10.0.0.1", "10.0.0.2", "fd00::1"),
      fc.option(small),
      (lines, protocol, client, internalPort) => {
        const permissions = list(...lines.filter((text) => parsePermissionRule(text).ok));
        const subject = { protocol, client, internalPort };
        const spans = permittedPorts(permissions, subject);
        for (let port = 1; port <= 13; port++) {
          const inside = spans.some(({ first, last }) => first <= port && port <= last);
          expect(inside).toBe(decide(permissions, subject, port).ok);
        }
      },
    ),
  );
});
