import { describe, expect, test } from "bun:test";
import { FLAG, type FrameKind, typeOf } from "../../wire/http2/frames.ts";
import { H2Conduct, type Misconduct } from "./h2-conduct.ts";

type Kind = Exclude<FrameKind, "other">;
const frame = (kind: Kind | "other", payloadBytes = 8, flags = 0, stream = 1) => ({
  type: kind === "other" ? 200 : typeOf(kind),
  flags,
  stream,
  payloadBytes,
});
type Sent = ReturnType<typeof frame>;

/** What becomes of so many rounds of these frames, one round a millisecond, each in a read of its own. */
function send(rounds: number, frames: (round: number) => readonly Sent[], everyMs = 1): Misconduct | null {
  const conduct = new H2Conduct(0);
  for (let round = 0; round < rounds; round++) {
    conduct.beginRead();
    for (const one of frames(round)) {
      const misconduct = conduct.frame(one, round * everyMs);
      if (misconduct !== null) return misconduct;
    }
  }
  return null;
}

const HEADERS = frame("headers", 100, FLAG.endHeaders | FLAG.endStream);
const CASES: [string, number, (round: number) => readonly Sent[], number, Misconduct | null][] = [
  ["requests by thousands", 20_000, () => [HEADERS], 1, null],
  ["a hundred in one read", 100, () => Array.from({ length: 100 }, () => HEADERS), 1, null],
  ["a thousand in one read", 1, () => Array.from({ length: 1_000 }, () => HEADERS), 1, "flood"],
  ["requests that are cancelled at once", 400, () => [HEADERS, frame("reset", 4)], 1, "cancels"],
  [
    "a page of them that is left now and then",
    100,
    () => Array.from({ length: 100 }, () => frame("reset", 4)),
    5_000,
    null,
  ],
  ["pings without end", 10_000, () => [frame("ping"), frame("ping")], 1, "flood"],
  ["a ping each round trip", 10_000, () => [frame("ping")], 2, null],
  ["settings without end", 10_000, () => [frame("settings", 0), frame("settings", 0)], 1, "flood"],
  ["priorities without end", 10_000, () => [frame("priority", 5), frame("priority", 5)], 1, "flood"],
  ["unknown frames without end", 10_000, () => [frame("other"), frame("other")], 1, "flood"],
  ["content without content", 10_000, () => [frame("data", 0), frame("data", 0)], 1, "flood"],
  ["requests whose last frame is empty", 10_000, () => [HEADERS, frame("data", 0, FLAG.endStream)], 1, null],
  ["content", 100_000, () => [frame("data", 16_384)], 0, null],
  ["windows at a gigabit", 10_000, () => Array.from({ length: 8 }, () => frame("window", 4)), 1, null],
  ["windows without end", 10_000, () => Array.from({ length: 80 }, () => frame("window", 4)), 1, "flood"],
  [
    "a head in a few pieces",
    1,
    () => [frame("headers", 16_000), frame("continuation", 16_000, FLAG.endHeaders)],
    1,
    null,
  ],
  ["a head without end", 100, (n) => [n === 0 ? frame("headers", 10) : frame("continuation", 0)], 1, "head"],
  ["a long head", 3, (n) => [n === 0 ? frame("headers", 16_000) : frame("continuation", 16_000)], 1, "head"],
];
describe("conduct", () => {
  test.each(CASES)("%s", (_name, rounds, frames, everyMs, outcome) => {
    expect(send(rounds, frames, everyMs)).toBe(outcome);
  });

  test("requests that end without an answer, whoever ended them", () => {
    const conduct = new H2Conduct(0);
    const outcomes = Array.from({ length: 400 }, () => conduct.unanswered(0));
    expect([outcomes[200], outcomes.at(-1)]).toEqual([null, "cancels"]);
    expect(conduct.unanswered(10_000)).toBeNull();
  });
});
