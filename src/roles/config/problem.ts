import { renderTextError, type TextError } from "../../wire/text-error.ts";
import type { z } from "../../wire/zod.ts";
import { closest } from "./suggest.ts";

/** One thing that is wrong with what a person wrote, in a config file or on a command line. */
export interface Problem {
  /** Keys and indexes down to the value: `["expose", 0, "ports"]`. */
  readonly path: readonly PropertyKey[];
  /** A full sentence, or a phrase that goes on behind the value's name ("must be …"). */
  readonly message: string;
  /** Where in the value, if its text has a place. */
  readonly place?: { readonly text: string; readonly error: TextError };
  readonly suggestion?: string;
}

/** Zod's issues as problems. `keysAt` knows the keys of a table by its path; `example` a line for a missing key. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  input: unknown,
  keysAt: (path: readonly PropertyKey[]) => readonly string[],
): Problem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, input, keysAt));
}

function problemsOfIssue(
  issue: z.core.$ZodIssue,
  input: unknown,
  keysAt: (path: readonly PropertyKey[]) => readonly string[],
): Problem[] {
  const { path } = issue;
  const value = valueAt(input, path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey([...path, key], key, keysAt(path)));
  }
  if (value === undefined) return [{ path, message: "is missing" }];
  switch (issue.code) {
    case "custom":
      return [customProblem(issue)];
    case "invalid_type":
      return [{ path, message: `must be ${EXPECTED[issue.expected] ?? issue.expected}, not ${describe(value)}` }];
    case "invalid_value": {
      const known = issue.values.map(String);
      const suggestion = typeof value === "string" ? closest(value, known) : null;
      const message = `must be ${oneOf(known)}, not ${describe(value)}`;
      return [{ path, message, ...(suggestion === null ? {} : { suggestion: JSON.stringify(suggestion) }) }];
    }
    case "too_small":
      if (typeof value !== "number") return [{ path, message: "must not be empty" }];
      return [
        { path, message: `must be ${issue.inclusive === true ? "at least" : "above"} ${issue.minimum}, not ${value}` },
      ];
    case "too_big":
      return [{ path, message: `must be at most ${issue.maximum}` }];
    case "invalid_union": {
      // A branch that took the value's type knows better what is wrong than the list of all types.
      const inner = issue.errors.find((branch) =>
        branch.some((one) => one.code !== "invalid_type" || one.path.length > 0),
      );
      if (inner === undefined) return [{ path, message: `${issue.message}, not ${describe(value)}` }];
      return inner.flatMap((one) => problemsOfIssue({ ...one, path: [...path, ...one.path] }, input, keysAt));
    }
    default:
      return [{ path, message: issue.message }];
  }
}

function customProblem(issue: z.core.$ZodIssueCustom): Problem {
  const { params } = issue;
  if (params === undefined || typeof params["text"] !== "string") return { path: issue.path, message: issue.message };
  const error = params["error"] as TextError;
  return { path: issue.path, message: error.message, place: { text: params["text"], error } };
}

const EXPECTED: Record<string, string> = {
  string: "a text in quotes",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a table",
};

function unknownKey(path: readonly PropertyKey[], key: string, known: readonly string[]): Problem {
  const suggestion = closest(key, known);
  const message = "is not a key that is known here";
  return suggestion === null
    ? { path, message: `${message}; known are ${known.join(", ")}` }
    : { path, message, suggestion };
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value === null || typeof value === "object") return "a table";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function oneOf(words: readonly string[]): string {
  const texts = words.map((word) => JSON.stringify(word));
  return texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}`;
}

/** `subject message`, with the text, a caret line and the suggestion below it when they are known. */
export function renderProblem(subject: string, problem: Problem): string {
  const isPhrase = /^(must|is|has|needs|lists) /.test(problem.message);
  const sentence = isPhrase ? `${subject} ${closed(problem.message)}` : `${subject}: ${closed(problem.message)}`;
  if (problem.place !== undefined) {
    const { text, error } = problem.place;
    return renderTextError(text, { ...error, message: sentence });
  }
  return problem.suggestion === undefined ? sentence : `${sentence} Did you mean ${problem.suggestion}?`;
}

function closed(sentence: string): string {
  return /[.?!]$/.test(sentence) ? sentence : `${sentence}.`;
}
