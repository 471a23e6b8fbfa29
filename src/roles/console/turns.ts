import { nextTurn } from "../metrics/page.ts";

/** Items that are looked at in one turn of the event loop: some 2 ms. */
export const TURN_ITEMS = 250;

/** Of each item, in order; visitors have their turn in between. */
export async function inTurns<T, R>(items: Iterable<T>, of: (item: T) => R): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) {
    if (results.length > 0 && results.length % TURN_ITEMS === 0) await nextTurn();
    results.push(of(item));
  }
  return results;
}
