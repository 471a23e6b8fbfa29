import { describe, expect, test } from "bun:test";
import {
  type AcmeFailure,
  type AcmeState,
  acmePlan,
  afterFailure,
  type FailedTries,
  mayRetryAtOnce,
  renewAtMs,
} from "./plan.ts";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const failure = (kind: AcmeFailure["kind"], notBeforeMs: number | null = null): AcmeFailure => ({
  kind,
  message: "no",
  notBeforeMs,
});
const failed = (retryAtMs: number) => ({
  count: 1,
  lastMs: NOW,
  retryAtMs,
  limited: false,
  notBeforeMs: null,
  refusedMs: [],
  message: "no",
});

const plans: [string, AcmeState, ReturnType<typeof acmePlan>][] = [
  ["nothing is there", { certificate: null, failed: null }, { kind: "order" }],
  ["good for long", { certificate: { renewAtMs: NOW + DAY }, failed: null }, { kind: "wait", untilMs: NOW + DAY }],
  ["due", { certificate: { renewAtMs: NOW }, failed: null }, { kind: "order" }],
  ["failed", { certificate: null, failed: failed(NOW + 1) }, { kind: "wait", untilMs: NOW + 1 }],
  ["the pause is over", { certificate: null, failed: failed(NOW) }, { kind: "order" }],
  ["due, and failed", { certificate: { renewAtMs: 0 }, failed: failed(NOW + 1) }, { kind: "wait", untilMs: NOW + 1 }],
];
test.each(plans)("%s", (_name, state, plan) => {
  expect(acmePlan(state, NOW)).toEqual(plan);
});

describe("pauses", () => {
  const pausesOf = (kind: AcmeFailure["kind"], times: number, random = 0) => {
    let before = null;
    const pauses: number[] = [];
    for (let count = 0; count < times; count++) {
      before = afterFailure(before, failure(kind), NOW, random);
      pauses.push((before.retryAtMs - NOW) / MINUTE);
    }
    return pauses;
  };

  test.each<[AcmeFailure["kind"], number[]]>([
    ["unreachable", [2, 6, 18, 54, 162, 486, 720, 720]],
    ["refused", [15, 45, 135, 405, 720, 720]],
    ["limited", [60, 180, 540, 720, 720]],
  ])("%s: they grow", (kind, minutes) => {
    expect(pausesOf(kind, minutes.length)).toEqual(minutes);
  });

  test("are longer by chance, by a quarter at most", () => {
    expect(pausesOf("refused", 2, 1)).toEqual([18.75, 56.25]);
  });

  test("keep to five failed proofs in an hour", () => {
    let [before, atMs, inAnHour] = [afterFailure(null, failure("refused"), 0, 0), 0, 1];
    while (before.retryAtMs < HOUR) {
      atMs = before.retryAtMs;
      before = afterFailure(before, failure("refused"), atMs, 0);
      inAnHour++;
    }
    expect(inAnHour).toBeLessThanOrEqual(5);
  });

  test.each([
    ["the server's own time is kept to", NOW + DAY, NOW + DAY],
    ["a time that is over is not", NOW - DAY, NOW + HOUR],
    ["one in a year is not believed", NOW + 365 * DAY, NOW + 14 * DAY],
  ])("%s", (_name, notBeforeMs, retryAtMs) => {
    expect(afterFailure(null, failure("limited", notBeforeMs), NOW, 0).retryAtMs).toBe(retryAtMs);
  });
});

describe("a person need not wait for the pause", () => {
  const after = (failures: readonly AcmeFailure[]) =>
    failures.reduce<FailedTries | null>((before, one) => afterFailure(before, one, NOW, 0), null) as FailedTries;
  const times = (count: number, kind: AcmeFailure["kind"]) => Array.from({ length: count }, () => failure(kind));

  test.each<[string, readonly AcmeFailure[], number, boolean]>([
    ["after a refusal", times(1, "refused"), NOW, true],
    ["after three", times(3, "refused"), NOW, true],
    ["but after four in an hour", times(4, "refused"), NOW + HOUR - 1, false],
    ["and an hour later again", times(4, "refused"), NOW + HOUR, true],
    ["however often nobody answered", times(9, "unreachable"), NOW, true],
    ["but for limits", times(1, "limited"), NOW + 10 * DAY, false],
    ["but for what the server asks for", [failure("unreachable", NOW + MINUTE)], NOW + MINUTE - 1, false],
    ["and after that", [failure("unreachable", NOW + MINUTE)], NOW + MINUTE, true],
  ])("%s", (_when, failures, nowMs, may) => {
    expect(mayRetryAtOnce(after(failures), nowMs)).toBe(may);
  });
});

test.each([
  ["90 days", 90, 60, 63],
  ["6 days", 6, 4, 4.2],
])("a certificate of %s is renewed after two thirds of it", (_name, days, least, most) => {
  expect(renewAtMs(NOW, NOW + days * DAY, 0)).toBe(NOW + least * DAY);
  expect(renewAtMs(NOW, NOW + days * DAY, 1)).toBeCloseTo(NOW + most * DAY, -1);
});
