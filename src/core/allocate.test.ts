import { describe, expect, test } from "bun:test";
import type { PortMapping } from "../wire/port-set.ts";
import { allocateExternal, asksForAny, settlesAs } from "./allocate.ts";

const any = (protocol: "tcp" | "udp", count: number, internalFirst = 80): PortMapping => ({
  protocol,
  first: 0,
  last: count - 1,
  internalFirst,
});
const at = (protocol: "tcp" | "udp", first: number, last = first, internalFirst = 80): PortMapping => ({
  protocol,
  first,
  last,
  internalFirst,
});

describe("allocateExternal", () => {
  const pool = [
    { first: 8000, last: 8002 },
    { first: 9000, last: 9010 },
  ];
  const taken = new Set([8000, 9000]);
  const fits = (ports: readonly PortMapping[]) =>
    ports.every(({ first, last }) => {
      for (let port = first; port <= last; port++) if (taken.has(port)) return false;
      return true;
    });

  const cases: [string, PortMapping[], PortMapping[] | null][] = [
    ["one port: the lowest free one", [any("tcp", 1)], [at("tcp", 8001)]],
    ["a run that the first span cannot hold", [any("tcp", 3)], [at("tcp", 9001, 9003)]],
    ["both protocols get one number", [any("tcp", 1), any("udp", 1)], [at("tcp", 8001), at("udp", 8001)]],
    ["two of one protocol follow each other", [any("tcp", 1), any("tcp", 1)], [at("tcp", 8001), at("tcp", 8002)]],
    ["settled ones pass unchanged", [at("tcp", 7), any("udp", 1)], [at("tcp", 7), at("udp", 8001)]],
    ["the same numbers inside", [any("tcp", 2, 0)], [at("tcp", 8001, 8002, 8001)]],
    ["more than there is", [any("tcp", 50)], null],
  ];
  test.each(cases)("%s", (_name, asked, settled) => {
    expect(allocateExternal(asked, pool, fits)).toEqual(settled);
  });

  test("asksForAny", () => {
    expect(asksForAny([at("tcp", 80)])).toBe(false);
    expect(asksForAny([at("tcp", 80), any("udp", 1)])).toBe(true);
  });

  const before: [string, PortMapping[], PortMapping[], boolean][] = [
    ["any fits what was held", [any("tcp", 2)], [at("tcp", 8001, 8002)], true],
    ["the same numbers inside are the same again", [any("tcp", 2, 0)], [at("tcp", 8001, 8002, 8001)], true],
    ["another count does not", [any("tcp", 1)], [at("tcp", 8001, 8002)], false],
    ["another protocol does not", [any("udp", 2)], [at("tcp", 8001, 8002)], false],
    ["another internal port does not", [any("tcp", 2, 81)], [at("tcp", 8001, 8002)], false],
    ["another fixed port does not", [at("tcp", 8000)], [at("tcp", 8001)], false],
    ["another length does not", [any("tcp", 1)], [at("tcp", 1), at("tcp", 2)], false],
  ];
  test.each(before)("settlesAs: %s", (_name, asked, held, expected) => {
    expect(settlesAs(asked, held)).toBe(expected);
  });
});
