import { expect, test } from "bun:test";
import { inTurns, TURN_ITEMS } from "./turns.ts";

test("others have their turn between items, which stay in order", async () => {
  let others = 0;
  let on = true;
  const other = () => {
    others++;
    if (on) setImmediate(other);
  };
  setImmediate(other);
  const items = Array.from({ length: 4 * TURN_ITEMS }, (_, n) => n);
  expect(await inTurns(items, (n) => n)).toEqual(items);
  on = false;
  expect(others).toBeGreaterThanOrEqual(3);
});
