import { err, ok, type Result } from "../result.ts";
import { quoted, type TextError } from "../text-error.ts";

/** `Key = value` of a WireGuard file, and where the value stands in the text. */
export interface ConfigLine {
  /** Lower case. */
  readonly key: string;
  readonly keyOffset: number;
  readonly keyLength: number;
  readonly value: string;
  readonly offset: number;
}

export interface ConfigSection {
  /** Lower case, without brackets. */
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly lines: readonly ConfigLine[];
}

/** The sections of a WireGuard file: names and keys in any case, `#` begins a comment, blank lines mean nothing (wg(8)). */
export function readSections(text: string): Result<ConfigSection[], TextError> {
  const sections: (ConfigSection & { lines: ConfigLine[] })[] = [];
  let lineStart = 0;
  for (const line of text.split("\n")) {
    const comment = line.indexOf("#");
    const content = comment < 0 ? line : line.slice(0, comment);
    const trimmed = content.trim();
    const offset = lineStart + content.indexOf(trimmed);
    lineStart += line.length + 1;
    if (trimmed === "") continue;
    if (trimmed.startsWith("[") && trimmed.endsWith("]")) {
      sections.push({ name: trimmed.slice(1, -1).toLowerCase(), offset, length: trimmed.length, lines: [] });
      continue;
    }
    const equals = trimmed.indexOf("=");
    if (equals <= 0) {
      return err({ message: "Write Key = value, or [Interface] or [Peer].", offset, length: trimmed.length });
    }
    const section = sections.at(-1);
    if (section === undefined) {
      return err({ message: "Begin the file with [Interface].", offset, length: trimmed.length });
    }
    const key = trimmed.slice(0, equals).trim();
    const value = trimmed.slice(equals + 1).trim();
    const valueOffset =
      offset + equals + 1 + (trimmed.length - equals - 1 - trimmed.slice(equals + 1).trimStart().length);
    section.lines.push({
      key: key.toLowerCase(),
      keyOffset: offset,
      keyLength: key.length,
      value,
      offset: valueOffset,
    });
  }
  return ok(sections);
}

/** The parts of a comma-separated value, each where it stands. An empty value has none. */
export function listItems(line: ConfigLine): { readonly text: string; readonly offset: number }[] {
  if (line.value === "") return [];
  let at = 0;
  return line.value.split(",").map((part) => {
    const text = part.trim();
    const offset = line.offset + at + (part.length - part.trimStart().length);
    at += part.length + 1;
    return { text, offset };
  });
}

export function unknownKey(line: ConfigLine, where: string): TextError {
  const message = `Remove this line: Hatchway does not use ${quoted(line.key)} in ${where}.`;
  return { message, offset: line.keyOffset, length: line.keyLength };
}
