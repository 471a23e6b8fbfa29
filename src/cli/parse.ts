import { ControlError } from "../servers/local/error.ts";
import type { Result } from "../wire/result.ts";
import { renderTextError, type TextError } from "../wire/text-error.ts";

/** The value, or ControlError `usage` that names the option and points at the place. */
export function parsedOption<T>(option: string, text: string, parse: (text: string) => Result<T, TextError>): T {
  const result = parse(text);
  if (result.ok) return result.value;
  const error = { ...result.error, message: `${option}: ${result.error.message}` };
  throw new ControlError("usage", renderTextError(text, error));
}

/** `collect` of a repeatable option. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
