import { describe, expect, test } from "bun:test";
import {
  grantedLifetimeSec,
  igdLifetimeSec,
  type LifetimeLimits,
  NAT_PMP_LIFETIME,
  PCP_LIFETIME,
  pcpErrorLifetimeSec,
} from "./lifetime.ts";

const UINT32_MAX = 0xffff_ffff;

describe("grantedLifetimeSec", () => {
  const cases: [string, LifetimeLimits, number, number | null][] = [
    ["NAT-PMP 0 deletes", NAT_PMP_LIFETIME, 0, null],
    ["NAT-PMP never gets more than it asked for", NAT_PMP_LIFETIME, 60, 60],
    ["NAT-PMP's recommended time", NAT_PMP_LIFETIME, 7200, 7200],
    ["NAT-PMP's cap", NAT_PMP_LIFETIME, UINT32_MAX, 7200],
    ["a cap of the operator's", { minSec: 1, maxSec: 60 }, 7200, 60],
    ["PCP 0 deletes", PCP_LIFETIME, 0, null],
    ["PCP's minimum", PCP_LIFETIME, 1, 120],
    ["PCP between", PCP_LIFETIME, 3600, 3600],
    ["PCP's cap", PCP_LIFETIME, UINT32_MAX, 86_400],
  ];
  for (const [name, limits, requestedSec, expected] of cases) {
    test(name, () => expect(grantedLifetimeSec(requestedSec, limits)).toBe(expected));
  }
});

describe("igdLifetimeSec", () => {
  const cases: [1 | 2, number, number | null][] = [
    [1, 0, null],
    [1, 3600, 3600],
    [1, UINT32_MAX, UINT32_MAX],
    [2, 0, 604_800],
    [2, 1, 1],
    [2, 604_800, 604_800],
    [2, 604_801, 604_800],
    [2, UINT32_MAX, 604_800],
  ];
  for (const [version, requestedSec, expected] of cases) {
    test(`IGDv${version}, ${requestedSec} s`, () => expect(igdLifetimeSec(version, requestedSec)).toBe(expected));
  }
});

describe("pcpErrorLifetimeSec", () => {
  const long = [1, 2, 3, 4, 5, 6, 9, 11, 12, 13] as const;
  for (const code of long) test(`${code} is long`, () => expect(pcpErrorLifetimeSec(code)).toBe(1800));
  for (const code of [7, 8, 10] as const) test(`${code} is short`, () => expect(pcpErrorLifetimeSec(code)).toBe(30));
  test("a port whose lease ends soon", () => expect(pcpErrorLifetimeSec(11, 100.2)).toBe(101));
  test("at once", () => expect(pcpErrorLifetimeSec(11, 0)).toBe(30));
  test("far away", () => expect(pcpErrorLifetimeSec(11, 86_400)).toBe(1800));
  test("a nonce that is another's", () => expect(pcpErrorLifetimeSec(2, 100)).toBe(100));
  test("a short one stays short", () => expect(pcpErrorLifetimeSec(8, 100)).toBe(30));
});
