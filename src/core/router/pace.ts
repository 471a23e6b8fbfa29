/** How often a router is asked whether it still has a mapping; and of many mappings together once in CHECK_SHARE_MS. */
export const CHECK_EVERY_MS = 60_000;
const CHECK_SHARE_MS = 1000;
/** What all mappings ask at the same time they ask over this: 100 a second, and over 5 s at most. */
const SPREAD_SHARE_MS = 10;
const MAX_SPREAD_MS = 5000;

/** Until the next check of one mapping, of `crowd` at the router. `random` in 0..1. */
export function checkAfterMs(crowd: number, random: number): number {
  return Math.max(CHECK_EVERY_MS, crowd * CHECK_SHARE_MS) * (0.75 + random / 4);
}

/** How long one of `crowd` mappings waits when all of them have a reason to ask now: a router's queue is short. */
export function spreadMs(crowd: number, random: number): number {
  return crowd <= 1 ? 0 : random * Math.min(MAX_SPREAD_MS, crowd * SPREAD_SHARE_MS);
}

/** Requests at once to one router: the most, of which a quick one profits. */
export const MOST_AT_ONCE = 8;
/** An answer within this was not waited for long. */
const QUICK_MS = 150;
/** The router is behind; questions by UDP have been sent twice by now, and it will answer each of them. */
const SLOW_MS = 600;

/**
 * How many requests to have under way, after one that took so long. miniupnpd 2.3.1 with nftables made the first ten
 * mappings in 60 ms each and those after the twentieth in 500 ms each (Debian 12, 2 busy cores): asked for eight of them at
 * once, and again and again by UDP, it fell behind so far that 25 of 80 were not answered in time; like this all were.
 */
export function requestsAtOnce(now: number, tookMs: number): number {
  if (tookMs >= SLOW_MS) return Math.max(1, Math.floor(now / 2));
  return tookMs <= QUICK_MS ? Math.min(MOST_AT_ONCE, now + 1) : now;
}
