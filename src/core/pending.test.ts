import { describe, expect, test } from "bun:test";
import { DEFAULT_PENDING_LIMITS, Pending } from "./pending.ts";

const LIMITS = { total: 10, perSource: 4, earlyFrom: 6 };

function filled(sources: Record<string, number>): Pending {
  const pending = new Pending(LIMITS);
  for (const [source, count] of Object.entries(sources)) {
    for (let n = 0; n < count; n++) expect(pending.enter(source, 1)).toBeNull();
  }
  return pending;
}

describe("enter", () => {
  test("a source has its share and no more", () => {
    const pending = filled({ a: 4 });
    expect(pending.enter("a", 1)).toBe("source");
    expect(pending.enter("b", 0)).toBeNull();
  });
  test("everybody together have the total", () => {
    const pending = filled({ a: 4, b: 4, c: 2 });
    expect(pending.enter("d", 1)).toBe("total");
    expect([pending.total, pending.sources]).toEqual([10, 3]);
  });
  test("under load the lot falls on those who already have one pending", () => {
    const pending = filled({ a: 4, b: 2 });
    expect(pending.enter("b", 0)).toBe("early");
    expect(pending.enter("b", 0.21)).toBeNull();
    expect(pending.enter("c", 0)).toBeNull();
    expect(pending.enter("b", 0.59)).toBe("early");
  });
  test("below the threshold there is no lot", () => {
    const pending = filled({ a: 3, b: 2 });
    expect(pending.enter("a", 0)).toBeNull();
  });
});

test("leave gives the place back; a stranger's leave counts nothing", () => {
  const pending = filled({ a: 4 });
  pending.leave("a");
  pending.leave("stranger");
  expect(pending.total).toBe(3);
  expect(pending.enter("a", 1)).toBeNull();
  for (let n = 0; n < 4; n++) pending.leave("a");
  expect([pending.total, pending.sources]).toEqual([0, 0]);
});

test("5,000 connections of one address: all of 100 honest ones come in, and the cap holds", () => {
  const pending = new Pending();
  let honest = 0;
  for (let n = 0; n < 5000; n++) {
    pending.enter("attacker", 0.5);
    // An honest handshake takes a moment: up to ten are pending at once.
    if (n % 50 === 0 && pending.enter("honest", 0.5) === null) honest++;
    if (n % 500 === 499) for (let done = 0; done < 10; done++) pending.leave("honest");
  }
  expect(honest).toBe(100);
  expect(pending.total).toBeLessThanOrEqual(DEFAULT_PENDING_LIMITS.perSource + 10);
});
