import { describe, expect, test } from "bun:test";
import { processorMs } from "../../test/fixtures/processor-time.ts";
import { parseCidr } from "../wire/address.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";
import { trimOldest } from "./bounded-map.ts";
import type { Limits } from "./forward.ts";
import { SourceRate } from "./source-rate.ts";

const HOUR_MS = 3_600_000;

function cidrs(...texts: string[]): AdmissionOptions["source"]["allow"] {
  return texts.map((text) => {
    const cidr = parseCidr(text);
    if (!cidr.ok) throw new Error(cidr.error.message);
    return cidr.value;
  });
}

function rules(allow: string[], deny: string[], limits: Limits = {}): AdmissionOptions {
  return { source: { allow: cidrs(...allow), deny: cidrs(...deny) }, limits };
}

const limited = (limits: Limits): AdmissionOptions => rules([], [], limits);

describe("source lists", () => {
  const cases: [string, string[], string[], string, boolean][] = [
    ["no list", [], [], "203.0.113.9", true],
    ["allowed", ["203.0.113.0/24"], [], "203.0.113.9", true],
    ["not in the allow list", ["203.0.113.0/24"], [], "198.51.100.1", false],
    ["denied", [], ["203.0.113.0/24"], "203.0.113.9", false],
    ["not in the deny list", [], ["203.0.113.0/24"], "198.51.100.1", true],
    ["deny wins", ["203.0.113.0/24"], ["203.0.113.9"], "203.0.113.9", false],
    ["allowed beside a denied one", ["203.0.113.0/24"], ["203.0.113.9"], "203.0.113.8", true],
    ["IPv6 allowed", ["2001:db8::/32"], [], "2001:db8::1", true],
    ["IPv6 against an IPv4 list", ["0.0.0.0/0"], [], "2001:db8::1", false],
    ["an IPv4-mapped address is IPv4", [], ["203.0.113.0/24"], "::ffff:203.0.113.9", false],
    ["no address at all against an allow list", ["0.0.0.0/0", "::/0"], [], "nobody", false],
  ];
  for (const [name, allow, deny, address, admitted] of cases) {
    test(name, () => {
      const admission = new Admission(rules(allow, deny));
      expect(admission.admit(address, 0)).toBe(admitted ? null : "sourceNotAllowed");
      expect(admission.open).toBe(admitted ? 1 : 0);
    });
  }
});

describe("connection limits", () => {
  test("of the forward", () => {
    const admission = new Admission(limited({ connections: 2 }));
    expect(admission.admit("192.0.2.1", 0)).toBeNull();
    expect(admission.admit("192.0.2.2", 0)).toBeNull();
    expect(admission.admit("192.0.2.3", 0)).toBe("connectionLimit");
    admission.leave("192.0.2.1");
    expect(admission.admit("192.0.2.3", 0)).toBeNull();
  });

  test("of a source", () => {
    const admission = new Admission(limited({ connectionsPerSource: 1 }));
    expect(admission.admit("192.0.2.1", 0)).toBeNull();
    expect(admission.admit("192.0.2.1", 0)).toBe("connectionLimit");
    expect(admission.admit("192.0.2.2", 0)).toBeNull();
    admission.leave("192.0.2.1");
    expect(admission.admit("192.0.2.1", 0)).toBeNull();
  });

  test("an IPv6 source is its /64", () => {
    const admission = new Admission(limited({ connectionsPerSource: 1 }));
    expect(admission.admit("2001:db8:1:2::1", 0)).toBeNull();
    expect(admission.admit("2001:db8:1:2:ffff::9", 0)).toBe("connectionLimit");
    expect(admission.admit("2001:db8:1:3::1", 0)).toBeNull();
    admission.leave("2001:db8:1:2::1");
    expect(admission.admit("2001:db8:1:2:ffff::9", 0)).toBeNull();
  });

  test("leave of a stranger counts nothing, and nothing remembers who left", () => {
    const admission = new Admission(limited({}));
    admission.admit("192.0.2.1", 0);
    admission.admit("192.0.2.1", 0);
    admission.leave("192.0.2.9");
    expect([admission.open, admission.sources]).toEqual([2, 1]);
    admission.leave("192.0.2.1");
    admission.leave("192.0.2.1");
    expect([admission.open, admission.sources]).toEqual([0, 0]);
  });
});

describe("rate of new connections of a source", () => {
  test("twice the rate at once, then the rate", () => {
    const admission = new Admission(limited({ newPerSourcePerSec: 5 }));
    for (let n = 0; n < 10; n++) expect(admission.admit("192.0.2.1", 0)).toBeNull();
    expect(admission.admit("192.0.2.1", 199)).toBe("rateLimit");
    expect(admission.admit("192.0.2.2", 199)).toBeNull();
    expect(admission.admit("192.0.2.1", 200)).toBeNull();
    expect(admission.admit("192.0.2.1", 200)).toBe("rateLimit");
  });

  test("what another limit refuses uses no rate", () => {
    const admission = new Admission(limited({ newPerSourcePerSec: 1, connectionsPerSource: 1 }));
    expect(admission.admit("192.0.2.1", 0)).toBeNull();
    expect(admission.admit("192.0.2.1", 0)).toBe("connectionLimit");
    admission.leave("192.0.2.1");
    expect(admission.admit("192.0.2.1", 0)).toBeNull();
  });

  test("a clock that steps back an hour locks nobody out", () => {
    const rate = new SourceRate(1);
    expect([rate.take("a", HOUR_MS), rate.take("a", HOUR_MS), rate.take("a", HOUR_MS)]).toEqual([true, true, false]);
    expect(rate.take("a", 0)).toBe(false);
    expect(rate.take("a", 999)).toBe(false);
    expect(rate.take("a", 1000)).toBe(true);
  });

  test("less than one in two seconds still lets the first one in", () => {
    const rate = new SourceRate(0.1);
    expect([rate.take("a", 0), rate.take("a", 9999), rate.take("a", 10_000)]).toEqual([true, false, true]);
  });

  test("idle sources are forgotten, and the table has an end", () => {
    const rate = new SourceRate(10, 100);
    for (let n = 0; n < 1000; n++) rate.take(`busy${n}`, 0);
    expect(rate.size).toBe(100);
    for (let n = 0; n < 100; n++) rate.take(`later${n}`, 10_000 + n);
    expect(rate.size).toBeLessThan(110);
    for (let n = 0; n < 100; n++) rate.take("only", 20_000 + n * 1000);
    expect(rate.size).toBe(1);
  });
});

describe("a live change", () => {
  test("keeps the counts, also of what was open before sources were limited", () => {
    const admission = new Admission(limited({}));
    for (const address of ["192.0.2.1", "2001:db8::1", "2001:db8::2"]) admission.admit(address, 0);
    admission.replace(limited({ connectionsPerSource: 2 }));
    expect(admission.open).toBe(3);
    expect(admission.sources).toBe(2);
    expect(admission.admit("2001:db8::3", 0)).toBe("connectionLimit");
    expect(admission.admit("192.0.2.1", 0)).toBeNull();
    admission.replace(limited({}));
    for (const address of ["192.0.2.1", "2001:db8::1", "2001:db8::2", "192.0.2.1"]) admission.leave(address);
    expect([admission.open, admission.sources]).toEqual([0, 0]);
  });

  test("a lower limit ends nothing that is open", () => {
    const admission = new Admission(limited({ connections: 3 }));
    for (let n = 0; n < 3; n++) admission.admit("192.0.2.1", 0);
    admission.replace(limited({ connections: 1 }));
    expect(admission.open).toBe(3);
    admission.leave("192.0.2.1");
    expect(admission.admit("192.0.2.1", 0)).toBe("connectionLimit");
  });

  test("another rate keeps what was used up; none forgets it", () => {
    const admission = new Admission(limited({ newPerSourcePerSec: 1 }));
    admission.admit("192.0.2.1", 0);
    admission.admit("192.0.2.1", 0);
    admission.replace(limited({ newPerSourcePerSec: 2 }));
    expect(admission.admit("192.0.2.1", 0)).toBe("rateLimit");
    admission.replace(limited({}));
    expect(admission.admit("192.0.2.1", 0)).toBeNull();
  });
});

test("without a rule a visit costs next to nothing", () => {
  const admission = new Admission(limited({}));
  const tookMs = processorMs(() => {
    for (let n = 0; n < 100_000; n++) {
      admission.admit("203.0.113.9", n);
      admission.leave("203.0.113.9");
    }
  });
  // About 15 ms here: 0.15 µs a visit, where accepting one takes 100 µs. The bound leaves room for a slow machine.
  expect(tookMs).toBeLessThan(500);
});

test("trimOldest drops from the oldest on", () => {
  const map = new Map([1, 2, 3, 4].map((n) => [n, n]));
  trimOldest(map, 2);
  expect([...map.keys()]).toEqual([3, 4]);
});
