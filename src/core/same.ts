/** Structural equality of plain data (objects, arrays, strings, numbers, booleans, null): specs and options. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Values, b as Values];
  let defined = 0;
  for (const key of Object.keys(left)) {
    // A key that is undefined says as little as one that is absent.
    if (left[key] === undefined) continue;
    if (!Object.hasOwn(right, key) || !same(left[key], right[key])) return false;
    defined++;
  }
  for (const key of Object.keys(right)) if (right[key] !== undefined) defined--;
  return defined === 0;
}

type Values = Readonly<Record<string, unknown>>;
