import { describe, expect, test } from "bun:test";
import { ADDRESS_RULES } from "./check/address-rules.ts";
import type { VerdictKind } from "./router/verdict.ts";
import { type Checked, firstWay, isProven, OPEN_TO_ITS_END } from "./way.ts";

describe("the way to try first", () => {
  test.each<[VerdictKind, boolean, "router" | "vpn" | RegExp]>([
    ["open-internet", true, "router"],
    ["open-internet", false, "router"],
    ["ipv6-only", true, "router"],
    ["cgnat", true, /^CGNAT: the provider shares/],
    ["cgnat", false, "router"],
    ["double-nat", true, /^Double NAT: another router/],
    ["double-nat", false, "router"],
    ["vpn", true, "vpn"],
    ["blocked", true, /^Blocked: /],
    ["no-network", true, /^No network: /],
    ["public-here", true, /^Public here: /],
  ])("%s, sure: %p", (kind, sure, expected) => {
    const first = firstWay({ kind, sure });
    if (typeof expected === "string") expect(first).toEqual({ way: expected });
    else expect(first).toEqual({ way: "relay", why: expect.stringMatching(expected) });
  });
});

describe("what proves that a way is open", () => {
  test.each<[string, Checked, boolean]>([
    ["open", { state: "open", hop: "none", rule: "open" }, true],
    ["open, and another machine answers", { state: "open", hop: "router", rule: "open, elsewhere" }, false],
    ["nothing listens yet", { state: "dead-service", hop: "service", rule: "nothing listens; the way is open" }, true],
    ["the service is down", { state: "dead-service", hop: "service", rule: "service down" }, true],
    ["nobody looked", { state: "dead-service", hop: "service", rule: "nobody looked, the service is silent" }, false],
    ["on loopback only: the relay reaches it", { state: "closed", hop: "service", rule: "loopback only" }, false],
    ["not to be seen", { state: "unknown", hop: "none", rule: "nobody looked" }, false],
    ["dropped", { state: "filtered", hop: "isp", rule: "carrier-grade NAT" }, false],
  ])("%s", (_name, checked, proven) => {
    expect(isProven(checked)).toBe(proven);
  });

  test("the rules that count are rules", () => {
    const names = ADDRESS_RULES.map(({ name }) => name);
    expect(OPEN_TO_ITS_END.filter((name) => !names.includes(name))).toEqual([]);
  });
});
