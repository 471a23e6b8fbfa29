import { err, ok, type Result } from "../../wire/result.ts";

/** Of a person. */
export interface PersonName {
  /** As it is shown. */
  readonly name: string;
  /** Names that differ in case or in form only are one person's. */
  readonly key: string;
}

export const MAX_NAME_CHARS = 64;

/** Letters, marks, digits, punctuation, symbols and blanks: what can be read, and nothing that hides or turns the text around it. */
const READABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u;
/** Some of which cannot be seen all the same: fillers of Hangul, variation selectors (Unicode's UAX 44). */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/** The error is a sentence that says what to do. */
export function parsePersonName(text: string): Result<PersonName, string> {
  const name = text.normalize("NFC").trim();
  if (name === "" || name.length > MAX_NAME_CHARS) return err(`Choose a name of 1 to ${MAX_NAME_CHARS} characters.`);
  if (!READABLE.test(name) || INVISIBLE.test(name)) return err("Choose a name of letters, digits, blanks and signs.");
  return ok({ name, key: nameKey(name) });
}

/** What a name is found by. Of any text: what is too long for a name is "", which finds nobody. */
export function nameKey(text: string): string {
  const name = text.normalize("NFC").trim();
  return name.length > MAX_NAME_CHARS ? "" : name.normalize("NFKC").trim().toLowerCase();
}
