import { expect, test } from "bun:test";
import { Descriptors, openFilesLimit } from "./descriptors.ts";

test("connections stop before the descriptors do", () => {
  for (const [limit, most] of [
    [64, 48],
    [1_024, 768],
    [20_000, 19_744],
  ] as const) {
    const descriptors = new Descriptors(limit);
    let taken = 0;
    for (; !descriptors.scarce; taken++) descriptors.taken();
    expect(taken).toBe(most);
    descriptors.given();
    expect<boolean>(descriptors.scarce).toBe(false);
  }
});

test("the system tells the limit, or there is none", () => {
  expect(openFilesLimit()).toBeGreaterThan(0);
});
