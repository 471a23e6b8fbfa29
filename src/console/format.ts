const KILO = 1_000;
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;
const SECOND_MS = 1_000;
const MINUTE_SEC = 60;
const HOUR_MIN = 60;
const DAY_HOURS = 24;

/** `999 B`, `1.5 kB`, `20 MB`: SI, as the command line has it. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= KILO;
    unit++;
  }
  return `${value.toFixed(unit === 0 || value >= 9.95 ? 0 : 1)} ${BYTE_UNITS[unit]}`;
}

/** `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / SECOND_MS));
  if (seconds < MINUTE_SEC) return `${seconds} s`;
  const minutes = Math.floor(seconds / MINUTE_SEC);
  if (minutes < HOUR_MIN) return `${minutes} min`;
  const hours = Math.floor(minutes / HOUR_MIN);
  if (hours < DAY_HOURS) return minutes % HOUR_MIN === 0 ? `${hours} h` : `${hours} h ${minutes % HOUR_MIN} min`;
  const days = Math.floor(hours / DAY_HOURS);
  return hours % DAY_HOURS === 0 ? `${days} d` : `${days} d ${hours % DAY_HOURS} h`;
}

export function formatAgo(atMs: number | null, nowMs: number): string {
  if (atMs === null) return "never";
  return nowMs - atMs < MINUTE_SEC * SECOND_MS ? "just now" : `${formatAge(nowMs - atMs)} ago`;
}

export function formatMs(milliseconds: number | null): string {
  if (milliseconds === null) return "–";
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/** `1 port`, `6 ports`, `1,000 ports`. */
export function count(many: number, one: string, more = `${one}s`): string {
  return `${many.toLocaleString("en")} ${many === 1 ? one : more}`;
}

/** `0:07`, `12:40`, `3:05:00`; of a day and more `6 d 4 h`. The seconds are rounded up: 0:00 = it is over. */
export function formatLeft(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / SECOND_MS));
  if (seconds >= DAY_HOURS * HOUR_MIN * MINUTE_SEC) return formatAge(seconds * SECOND_MS);
  const two = (part: number) => String(part).padStart(2, "0");
  const minutes = Math.floor(seconds / MINUTE_SEC);
  const clock = `${minutes % HOUR_MIN}:${two(seconds % MINUTE_SEC)}`;
  return minutes < HOUR_MIN ? clock : `${Math.floor(minutes / HOUR_MIN)}:${clock.padStart(5, "0")}`;
}
