import { describe, expect, test } from "bun:test";
import { Guesses } from "./guesses.ts";

const SEC_MS = 1000;
const MIN_MS = 60_000;

/** How many of `tries` are listened to when one comes every `everyMs` and all are wrong. */
function listenedTo(guesses: Guesses, tries: number, everyMs: number, addressOf: (at: number) => string): number {
  let listened = 0;
  for (let at = 0; at < tries; at++) {
    if (guesses.refusedMs(addressOf(at), at * everyMs) > 0) continue;
    listened++;
    guesses.failed(addressOf(at), "ada", at * everyMs);
  }
  return listened;
}

test("wrong passwords of one source wait 1, 2, 4 … seconds, up to ten minutes", () => {
  const guesses = new Guesses();
  let nowMs = 0;
  const waits = Array.from({ length: 12 }, () => {
    const waitMs = guesses.failed("192.0.2.1", "ada", nowMs);
    expect(guesses.refusedMs("192.0.2.1", nowMs)).toBe(waitMs);
    nowMs += waitMs;
    expect(guesses.refusedMs("192.0.2.1", nowMs)).toBe(0);
    return waitMs / SEC_MS;
  });
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
});

describe("of 1,000 guesses, one a second, are listened to", () => {
  test.each<[string, (at: number) => string, number, number]>([
    ["from one address", () => "192.0.2.1", 9, 11],
    ["from one /64, each from an address of its own", (at) => `2001:db8:1:2::${(at + 1).toString(16)}`, 9, 11],
    // Six are free to a site, then its penalty grows as a source's does.
    ["from one /48, each from a /64 of its own", (at) => `2001:db8:1:${at.toString(16)}::1`, 6, 12],
    ["from ten addresses in turn", (at) => `192.0.2.${at % 10}`, 20, 30],
  ])("%s", (_what, addressOf, least, most) => {
    const listened = listenedTo(new Guesses(), 1_000, SEC_MS, addressOf);
    expect(listened).toBeGreaterThanOrEqual(least);
    expect(listened).toBeLessThanOrEqual(most);
  });
});

describe("while an attacker guesses at a name", () => {
  const attacked = (): Guesses => {
    const guesses = new Guesses();
    listenedTo(guesses, 300, SEC_MS, (at) => `198.51.${100 + (at >> 7)}.${at % 128}`);
    return guesses;
  };

  test.each([
    ["another address", "192.0.2.9"],
    ["the attacker's IPv4 neighbour", "198.51.100.200"],
    ["an IPv6 address", "2001:db8::9"],
  ])("its owner at %s is heard at once", (_what, address) => {
    expect(attacked().refusedMs(address, 300 * SEC_MS)).toBe(0);
  });

  test("an owner who mistypes waits once, however long the attack goes on", () => {
    const guesses = attacked();
    const waitMs = guesses.failed("192.0.2.9", "ada", 300 * SEC_MS);
    expect(waitMs).toBe(10 * MIN_MS);
    for (let at = 0; at < 100; at++) guesses.failed(`203.0.113.${at}`, "ada", (301 + at) * SEC_MS);
    expect(guesses.refusedMs("192.0.2.9", 300 * SEC_MS + waitMs)).toBe(0);
  });

  test("another name's mistakes cost no more than before", () => {
    expect(attacked().failed("192.0.2.9", "bob", 300 * SEC_MS)).toBe(SEC_MS);
  });
});

test("one source that sprays many names is one source", () => {
  const guesses = new Guesses();
  let listened = 0;
  for (let at = 0; at < 1_000; at++) {
    if (guesses.refusedMs("192.0.2.1", at * SEC_MS) > 0) continue;
    listened++;
    guesses.failed("192.0.2.1", `name-${at}`, at * SEC_MS);
  }
  expect(listened).toBeLessThanOrEqual(11);
});

test("one-time codes are refused by person, from wherever", () => {
  const guesses = new Guesses();
  expect(guesses.codeFailed("u1", 0)).toBe(SEC_MS);
  expect(guesses.codeFailed("u1", SEC_MS)).toBe(2 * SEC_MS);
  expect(guesses.codeRefusedMs("u1", SEC_MS)).toBe(2 * SEC_MS);
  expect(guesses.codeRefusedMs("u2", SEC_MS)).toBe(0);
});
