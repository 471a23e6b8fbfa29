import { expect, test } from "bun:test";
import fc from "fast-check";
import { ByteCredit } from "./byte-credit.ts";

const A = "192.0.2.1";
const B = "192.0.2.2";

test("what came in may go back, and no more", () => {
  const credit = new ByteCredit();
  expect(credit.received(A, 20, 0)).toBe(20);
  expect(credit.received(A, 20, 500)).toBe(40);
  credit.sent(A, 32, 500);
  expect(credit.received(A, 20, 1_500)).toBe(28);
  expect(credit.received(B, 20, 1_500)).toBe(20);
});

test("an old credit is worth nothing, and a large one is not saved whole", () => {
  const credit = new ByteCredit();
  credit.received(A, 20, 0);
  expect(credit.received(A, 20, 20_001)).toBe(20);
  expect(credit.received(B, 1_500, 0)).toBe(1_500);
  expect(credit.received(B, 20, 1)).toBe(148);
});

test("the table has an end: the one heard longest ago is forgotten", () => {
  const credit = new ByteCredit(2);
  for (const address of [A, B, "192.0.2.3"]) credit.received(address, 20, 0);
  expect(credit.size).toBe(2);
  expect(credit.received(A, 20, 1)).toBe(20);
  expect(credit.received("192.0.2.3", 20, 1)).toBe(40);
});

test("whoever spends what it may never sends an address more than came from it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(A, B, "::1"), fc.nat(200), fc.nat(200), fc.nat(30_000)), { maxLength: 60 }),
      (steps) => {
        const credit = new ByteCredit(2);
        const balance = new Map<string, number>();
        let nowMs = 0;
        for (const [address, bytes, wanted, laterMs] of steps) {
          nowMs += laterMs;
          const out = Math.min(wanted, 124, credit.received(address, bytes, nowMs));
          credit.sent(address, out, nowMs);
          balance.set(address, (balance.get(address) ?? 0) + bytes - out);
          expect(balance.get(address)).toBeGreaterThanOrEqual(0);
        }
      },
    ),
  );
});
