export interface SessionTimes {
  readonly createdMs: number;
  readonly lastSeenMs: number;
}

const DAY_MS = 86_400_000;
/** A browser that nobody used for a week must sign in again. */
export const SESSION_IDLE_MS = 7 * DAY_MS;
/** And every browser after a month: a stolen cookie is worth no longer. */
export const SESSION_LONGEST_MS = 30 * DAY_MS;
/** That somebody was seen is written this often at most: each time is an fsync, and a page asks several times a second. */
export const SEEN_EVERY_MS = 300_000;

/** Until when the session lives if it is not used any more. */
export function sessionEndsMs({ createdMs, lastSeenMs }: SessionTimes): number {
  return Math.min(createdMs + SESSION_LONGEST_MS, lastSeenMs + SESSION_IDLE_MS);
}

/** Whether a sighting at `nowMs` is worth a write. Also when the clock was set back, else the session would seem young for too long. */
export function seenIsDue(lastSeenMs: number | null, nowMs: number): boolean {
  return lastSeenMs === null || Math.abs(nowMs - lastSeenMs) >= SEEN_EVERY_MS;
}
