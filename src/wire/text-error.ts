/**
 * What is wrong with a text a person wrote, and where. `message` is one sentence that says what to do; `offset` and
 * `length` (UTF-16 units) point into the text as it was given; `suggestion` is the faulty item as it should be.
 */
export interface TextError {
  readonly message: string;
  readonly offset: number;
  readonly length: number;
  readonly suggestion?: string;
}

const MAX_QUOTED_CHARS = 60;
/** Columns of text shown around the place: what fits a terminal line. */
const MAX_SHOWN_CHARS = 100;

/** The text in quotes for a message: control characters escaped, long texts cut. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}…` : text);
}

/**
 * The message, the text and a caret line under the place, for a terminal:
 *
 *     Write the lower port first.
 *       8820, 8815-8810
 *             ^^^^^^^^^
 *     Did you mean 8810-8815?
 */
export function renderTextError(text: string, error: TextError): string {
  // A control character or a tab would move the caret away from its place.
  const flat = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
  const from = flat.length <= MAX_SHOWN_CHARS ? 0 : Math.max(0, error.offset - MAX_SHOWN_CHARS / 4);
  const shown = flat.slice(from, from + MAX_SHOWN_CHARS);
  const at = Math.min(error.offset - from, shown.length);
  const carets = "^".repeat(Math.max(1, Math.min(error.length, shown.length - at)));
  const lines = [error.message, `  ${shown}`, `  ${" ".repeat(at)}${carets}`];
  if (error.suggestion !== undefined) lines.push(`Did you mean ${error.suggestion}?`);
  return lines.join("\n");
}
