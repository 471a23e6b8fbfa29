import { expect, test } from "bun:test";
import { SEEN_EVERY_MS, seenIsDue, sessionEndsMs } from "./session.ts";

const DAY_MS = 86_400_000;

test.each<[string, number, number, number]>([
  ["just begun: a week", 0, 0, 7],
  ["used every day: a week from the last time", 0, 10, 17],
  ["near the end: a month from its begin", 0, 29, 30],
  ["past it", 0, 40, 30],
])("a session that is %s", (_what, createdDay, seenDay, endsDay) => {
  expect(sessionEndsMs({ createdMs: createdDay * DAY_MS, lastSeenMs: seenDay * DAY_MS })).toBe(endsDay * DAY_MS);
});

test.each<[string, number | null, number, boolean]>([
  ["never", null, 0, true],
  ["now", 0, 0, false],
  ["a moment before the time", 0, SEEN_EVERY_MS - 1, false],
  ["five minutes ago", 0, SEEN_EVERY_MS, true],
  ["in the future: the clock was set back", DAY_MS, 0, true],
])("seen %s", (_what, lastSeenMs, nowMs, due) => {
  expect(seenIsDue(lastSeenMs, nowMs)).toBe(due);
});
