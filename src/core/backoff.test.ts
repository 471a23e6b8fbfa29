import { expect, test } from "bun:test";
import { Backoff } from "./backoff.ts";

const worst = (backoff: Backoff, times: number, nowMs = 0): number[] =>
  Array.from({ length: times }, () => backoff.failed(nowMs, 1));

test("the ceiling doubles from 0.25 s to 30 s and stays there", () => {
  expect(worst(new Backoff(), 10)).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test("full jitter spreads the delay from 0 to the ceiling", () => {
  const backoff = new Backoff();
  expect(backoff.failed(0, 0)).toBe(0);
  expect(backoff.failed(0, 0.5)).toBe(250);
});

test("a connection that is lost is tried again at once, once in 30 s", () => {
  const backoff = new Backoff();
  backoff.connected(1000);
  expect(worst(backoff, 2, 2000)).toEqual([0, 250]);
  backoff.connected(3000);
  expect(backoff.failed(31_999, 1)).toBe(250);
  backoff.connected(31_999);
  expect(worst(backoff, 2, 32_000)).toEqual([0, 500]);
});

test("a relay that takes a connection and drops it again is asked ever less often", () => {
  const backoff = new Backoff();
  const delaysMs = Array.from({ length: 5 }, (_, second) => {
    backoff.connected(second * 1000);
    return backoff.failed(second * 1000, 1);
  });
  expect(delaysMs).toEqual([0, 250, 500, 1000, 2000]);
});

test("a connection that lived 10 s starts over", () => {
  const backoff = new Backoff();
  worst(backoff, 5);
  backoff.connected(1000);
  expect(worst(backoff, 2, 11_000)).toEqual([0, 250]);
});

test("a connection that died sooner does not, nor does a failure long after", () => {
  const backoff = new Backoff();
  worst(backoff, 2);
  backoff.connected(1000);
  expect(worst(backoff, 2, 10_999)).toEqual([0, 1000]);
  expect(backoff.failed(99_999, 1)).toBe(2000);
});

test("thousands of failures do not overflow", () => {
  const backoff = new Backoff();
  expect(worst(backoff, 5000).at(-1)).toBe(30_000);
});
