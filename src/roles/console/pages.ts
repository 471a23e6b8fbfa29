import { ApiFailure, type Page, type PageRequest } from "../../servers/api/backend.ts";
import type { Visit } from "../../servers/api/schema.ts";

/** Of 14 digits, and so less any time until the year 4800. */
const FAR_MS = 99_999_999_999_999;

/**
 * One page of a list. `keyOf`: unique, and what the list is sorted by here; the cursor is the key of the last item before, so
 * that what comes and goes meanwhile neither repeats nor hides anything else.
 */
export function pageOf<T>(items: readonly T[], keyOf: (item: T) => string, { limit, cursor }: PageRequest): Page<T> {
  const after = cursor === null ? null : decode(cursor);
  const keyed = items.map((item) => [keyOf(item), item] as const);
  const rest = after === null ? keyed : keyed.filter(([key]) => key > after);
  rest.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const shown = rest.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(([, item]) => item),
    next: last === undefined || rest.length <= limit ? null : Buffer.from(last[0]).toString("base64url"),
  };
}

/** Newest first: whoever looks, looks for who has just come. What is not known to have begun comes last. */
export function newestFirst<T extends Pick<Visit, "id" | "openedMs">>(
  visits: readonly T[],
  page: PageRequest,
): Page<T> {
  return pageOf(visits, ({ id, openedMs }) => `${FAR_MS - (openedMs ?? 0)}\0${id}`, page);
}

/** What is dear to show is shown for this page alone. */
export function shownPage<T, R>({ items, next }: Page<T>, show: (item: T) => R): Page<R> {
  return { items: items.map(show), next };
}

function decode(cursor: string): string {
  if (!/^[\w-]+$/.test(cursor))
    throw new ApiFailure("invalid", "The cursor is not one of this list: begin without one.");
  return Buffer.from(cursor, "base64url").toString();
}
