import { err, ok, type Result } from "../../wire/result.ts";
import { quoted, type TextError } from "../../wire/text-error.ts";

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;
const MAX_DURATION_SEC = 10 * 365 * SECONDS.d;
const DURATION = /^(\d{1,10})\s*(s|m|h|d)$/i;
const DURATION_EXAMPLES = "90s, 10m, 2h or 1d";

/** `90s`, `10m`, `2h`, `1d` → seconds, at least 1. */
export function parseDuration(text: string): Result<number, TextError> {
  const match = DURATION.exec(text.trim());
  if (match === null) {
    const bare = /^\d{1,10}$/.test(text.trim());
    const error = whole(text, `${quoted(text)} is not a duration: write ${DURATION_EXAMPLES}.`);
    return err(bare ? { ...error, suggestion: `${text.trim()}s` } : error);
  }
  const seconds = Number(match[1]) * SECONDS[(match[2] ?? "s").toLowerCase() as keyof typeof SECONDS];
  if (seconds < 1 || seconds > MAX_DURATION_SEC) {
    return err(whole(text, `A duration is at least 1s and at most ${MAX_DURATION_SEC / SECONDS.d}d.`));
  }
  return ok(seconds);
}

/** Bits or bytes a second; SI prefixes by 1000, binary ones (Ki, Mi, Gi) by 1024, as IEC 80000-13 has them. */
const RATE = /^(\d{1,12}(?:\.\d{1,6})?)\s*(|k|m|g|ki|mi|gi)(bit|b)(?:\/s|ps)$/i;
const PREFIX: Record<string, number> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 1_024,
  mi: 1_048_576,
  gi: 1_073_741_824,
};
const BITS_PER_BYTE = 8;

/** `10 MB/s`, `500 kB/s`, `100 Mbit/s`, `1 MiB/s` → bytes a second, at least 1. `b` alone is refused: bit or byte? */
export function parseBandwidth(text: string): Result<number, TextError> {
  const match = RATE.exec(text.trim());
  const unit = match?.[3] ?? "";
  if (match === null || unit === "b") {
    return err(whole(text, `${quoted(text)} is not a bandwidth: write "10 MB/s" for bytes or "100 Mbit/s" for bits.`));
  }
  const perSecond = Number(match[1]) * (PREFIX[(match[2] ?? "").toLowerCase()] ?? 1);
  const bytes = Math.round(unit === "B" ? perSecond : perSecond / BITS_PER_BYTE);
  if (bytes < 1) return err(whole(text, "A bandwidth is at least 1 B/s; leave it out for no limit."));
  return ok(bytes);
}

/** `5/s`, `300/m` → events a second. */
export function parseRate(text: string): Result<number, TextError> {
  const match = /^(\d{1,9})\s*\/\s*(s|m)$/i.exec(text.trim());
  const perSecond = match === null ? 0 : Number(match[1]) / (match[2]?.toLowerCase() === "m" ? SECONDS.m : 1);
  if (perSecond <= 0) return err(whole(text, `${quoted(text)} is not a rate: write 5/s or 300/m.`));
  return ok(perSecond);
}

function whole(text: string, message: string): TextError {
  return { message, offset: 0, length: text.length };
}
