import { type Problem, problemsOf, renderProblem } from "../roles/config/problem.ts";
import { closest } from "../roles/config/suggest.ts";
import type { Result } from "../wire/result.ts";
import type { z } from "../wire/zod.ts";
import type { HatchwayError } from "./error.ts";

/** How the options of a call are checked: as the command line's arguments and the config file's keys are. */
export interface Checking<Entry, Spec> {
  readonly schema: z.ZodType<Entry>;
  /** The entry's keys by the names that an app writes. */
  readonly keys: Readonly<Record<string, string>>;
  /** Options that are no part of the entry. */
  readonly others: readonly string[];
  /** Values that an app writes otherwise than the config file. Throws what `usage` makes. */
  readonly values: Readonly<Record<string, (value: unknown) => unknown>>;
  specOf(entry: Entry): Result<Spec, Problem>;
  usage(message: string): HatchwayError;
}

/** Plain JavaScript may give anything. Throws what `usage` makes. */
export function checkObject(options: unknown, usage: (message: string) => HatchwayError): void {
  if (typeof options === "object" && options !== null && !Array.isArray(options)) return;
  throw usage("The options must be an object: { name: value, … }.");
}

/** What an app asks for. Throws what `usage` makes of the first thing that is wrong. */
export function checked<Entry, Spec>(
  options: object,
  extra: Readonly<Record<string, unknown>>,
  checking: Checking<Entry, Spec>,
): Spec {
  const { schema, keys, others, values, usage } = checking;
  const entry: Record<string, unknown> = { ...extra };
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || others.includes(name)) continue;
    const key = keys[name];
    if (key === undefined) throw usage(unknownOption(name, [...Object.keys(keys), ...others]));
    entry[key] = values[name]?.(value) ?? value;
  }
  const parsed = schema.safeParse(entry);
  const [problem] = parsed.success ? [] : problemsOf(parsed.error.issues, entry, () => []);
  if (problem !== undefined) throw usage(sentence(problem, keys));
  const spec = parsed.success ? checking.specOf(parsed.data) : null;
  if (spec?.ok !== true) throw usage(sentence(spec?.error ?? { path: [], message: "is not understood" }, keys));
  return spec.value;
}

/** Null = it is none, or an AbortSignal; else what is wrong. */
export function signalProblem(signal: unknown): string | null {
  if (signal === undefined || signal instanceof AbortSignal) return null;
  return "signal must be an AbortSignal: the `signal` of an AbortController.";
}

export function unknownOption(name: string, known: readonly string[]): string {
  const meant = closest(name, known);
  const rest = meant === null ? `the options are ${known.join(", ")}.` : `did you mean ${meant}?`;
  return `There is no option ${JSON.stringify(name)}: ${rest}`;
}

/** In one line: nobody reads a caret below an error's message. */
function sentence(
  { path, message, place, suggestion = place?.error.suggestion }: Problem,
  keys: Readonly<Record<string, string>>,
): string {
  const key = String(path[0] ?? "ports");
  const name = Object.keys(keys).find((one) => keys[one] === key) ?? key;
  const said = { path, message, ...(suggestion === undefined ? {} : { suggestion }) };
  return renderProblem(name, said);
}
