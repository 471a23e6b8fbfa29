const MAX_CHARS = 128;

/** A text of a neighbour's as lists, logs and terminals may show it: no control or format characters, and bounded. */
export function printable(text: string): string {
  const cleaned = text
    .toWellFormed()
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ")
    .trim();
  return [...cleaned].slice(0, MAX_CHARS).join("").trim();
}
