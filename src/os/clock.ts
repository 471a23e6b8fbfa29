/** Wall-clock milliseconds since the epoch: for what is stored and shown. It jumps when an operator or NTP sets it. */
export function nowMs(): number {
  return Date.now();
}

/** Milliseconds since the process started, never backwards: for deadlines and state machines. */
export function monotonicMs(): number {
  return performance.now();
}
