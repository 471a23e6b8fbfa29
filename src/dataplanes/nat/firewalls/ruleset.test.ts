import { describe, expect, test } from "bun:test";
import type { Cidr } from "../../../wire/address.ts";
import { parseCidr } from "../../../wire/address.ts";
import { type Known, liesIn, matchesMark, matchesName, spanOf } from "./ruleset.ts";

describe("addresses of a kind of packets, and a rule's network", () => {
  const cases: readonly [string[], string, 4 | 6, Known][] = [
    [["192.168.77.0/24"], "192.168.0.0/16", 4, true],
    [["192.168.77.0/24"], "192.168.77.0/24", 4, true],
    [["192.168.77.0/24"], "192.168.77.128/25", 4, null],
    [["192.168.77.0/24"], "10.0.0.0/8", 4, false],
    [["192.168.77.0/24", "192.168.78.0/24"], "192.168.77.0/24", 4, null],
    [["192.168.77.0/24", "10.0.0.0/8"], "172.16.0.0/12", 4, false],
    [[], "192.168.0.0/16", 4, null],
    [[], "0.0.0.0/0", 4, true],
    [[], "::/0", 6, true],
    [[], "2000::/3", 6, null],
    [["2001:db8::/64"], "2000::/3", 6, true],
    [[], "::ffff:0.0.0.0/96", 6, false],
    [["2001:db8::/64"], "0.0.0.0/0", 6, false],
  ];
  test.each(cases)("%p in %s, IPv%d: %p", (networks, text, family, expected) => {
    const network = parseCidr(text);
    const span = network.ok ? spanOf(network.value) : null;
    if (span === null) throw new Error(text);
    expect(liesIn(networks as Cidr[], span, family)).toBe(expected);
  });
});

test.each([
  ["lan1", "lan1", true],
  ["lan*", "lan1", true],
  ["lan*", "wan", false],
  ["*", null, true],
  ["lan1", null, null],
] as const)("the name %s and the interface %p: %p", (pattern, name, expected) => {
  expect(matchesName(pattern, name, "*")).toBe(expected);
});

test.each([
  [0x8000_0000, 0x8000_0000, 0x8000_0000, true],
  [0x10, 0x10, 0x10, true],
  [0x10, 0, 0x10, false],
  [0x10, 0x10, 0xff, null],
  [0x10, 0x10, 0xffff_ffff, null],
  [null, 0x10, 0x10, null],
] as const)("the mark %p against %p of %p: %p", (mark, value, mask, expected) => {
  expect(matchesMark(mark, value, mask)).toBe(expected);
});
