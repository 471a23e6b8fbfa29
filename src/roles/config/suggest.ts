import { editDistance } from "../../wire/edit-distance.ts";

/** A word this far from every known one is not a slip of the hand. */
const MAX_DISTANCE = 3;
/** Characters of a word that was cut short (`proto`) from which its end can be guessed. */
const MIN_PREFIX = 3;

/** The known word that `written` was probably meant to be, or null. */
export function closest(written: string, known: readonly string[]): string | null {
  const word = normal(written);
  const beginning = word.length < MIN_PREFIX ? [] : known.filter((candidate) => normal(candidate).startsWith(word));
  if (beginning.length === 1) return beginning[0] ?? null;
  let best: string | null = null;
  let bestDistance = Math.min(MAX_DISTANCE, Math.floor(word.length / 2)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word, normal(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `proxy_protocol` and `proxyProtocol` are meant as `proxy-protocol`. */
function normal(word: string): string {
  return word
    .slice(0, 100)
    .toLowerCase()
    .replace(/[-_\s]/g, "");
}
