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

/** Damerau–Levenshtein, neighbours swapped once (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (last[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let cost = Math.min(replaced, (last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
