import { type AcmeProblem, acmeErrorName } from "../../wire/acme/messages.ts";

const MAX_CHARS = 200;
/** A dot in an address or a name has no space after it. */
const SENTENCE_END = /[.!?](?=\s|$)/;
/** White space of every kind, and what would move a terminal's cursor. */
const GAPS = /[\s\p{Cc}\p{Cf}]+/gu;

/**
 * What a CA says of a failure, for a sentence of ours: its name in RFC 8555, and the first sentence of its own words.
 * `unnamed`: instead of a name that is none of the RFC's.
 */
export function problemText(problem: AcmeProblem, unnamed: string = problem.type): string {
  const name = acmeErrorName(problem) ?? unnamed;
  const words = firstSentence(problem.detail);
  return words === "" ? firstSentence(name) : `${firstSentence(name)}: ${words}`;
}

function firstSentence(text: string): string {
  const line = text.replace(GAPS, " ").trim();
  const end = SENTENCE_END.exec(line)?.index ?? line.length;
  return end <= MAX_CHARS ? line.slice(0, end) : `${line.slice(0, MAX_CHARS)}…`;
}
