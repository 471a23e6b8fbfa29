import type { z } from "../../wire/zod.ts";
import { Refusal, Status } from "./problem.ts";

const MAX_ERRORS = 20;

/** The value as the schema has it; without a schema nothing is taken. Throws a Refusal that names each wrong field. */
export function checked<T extends z.ZodType>(
  schema: T | undefined,
  value: unknown,
  where: "query" | "body",
): z.output<T> {
  if (schema === undefined) return undefined as z.output<T>;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.slice(0, MAX_ERRORS).flatMap(fieldErrors);
  throw new Refusal(Status.badRequest, `Mend the fields of the ${where} that are named in "errors".`, { errors });
}

function fieldErrors(issue: z.core.$ZodIssue): { readonly path: string; readonly message: string }[] {
  const path = issue.path.map(String).join(".");
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  return issue.keys
    .slice(0, MAX_ERRORS)
    .map((key) => ({ path: path === "" ? key : `${path}.${key}`, message: "There is no such field." }));
}

/** JSON of a request, and nothing else. */
export function parsedBody(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    // Not what the parser says: it quotes the body, which may have a password.
    throw new Refusal(Status.badRequest, "The body is not JSON: mend it.", { cause });
  }
}

/** Each name once: with two, one of this server and a proxy before it takes the first and the other the last. */
export function parsedQuery(params: URLSearchParams): Record<string, string> {
  const names = [...params.keys()];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new Refusal(Status.badRequest, "Give each parameter of the query once.", {
      errors: [{ path: twice.slice(0, 64), message: "It is there twice." }],
    });
  }
  return Object.fromEntries(params);
}
