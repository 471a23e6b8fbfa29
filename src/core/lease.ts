/** How long ports stay reserved for a device that went away, unless its forward says otherwise. */
export const DEFAULT_LIFETIME_SEC = 600;

const MS_PER_SEC = 1000;
const SEC_PER_MINUTE = 60;
const SEC_PER_HOUR = 3600;

/** When a lease that starts to run now ends; null = never (permanent). */
export function leaseEndMs(lifetimeSec: number | null, nowMs: number): number | null {
  return lifetimeSec === null ? null : nowMs + lifetimeSec * MS_PER_SEC;
}

/** For a sentence: `45 s`, `9 min 58 s`, `2 h 5 min`; rounded up, so that it never says 0 for what still runs. */
export function formatRemaining(ms: number): string {
  const sec = Math.max(1, Math.ceil(ms / MS_PER_SEC));
  if (sec < SEC_PER_MINUTE) return `${sec} s`;
  if (sec < SEC_PER_HOUR) return pair(Math.floor(sec / SEC_PER_MINUTE), "min", sec % SEC_PER_MINUTE, "s");
  const minutes = Math.ceil(sec / SEC_PER_MINUTE);
  return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
