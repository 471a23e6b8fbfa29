const KILO = 1_000;
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `999 B`, `1.5 kB`, `20 MB`: SI, three digits at most. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= KILO;
    unit++;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}
