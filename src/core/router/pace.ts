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
