import { expect, test } from "bun:test";
import { startSweeper } from "./sweeper.ts";

/** Resolves after the second sweep. */
function twice(signal: AbortSignal): { swept(): number; readonly done: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let swept = 0;
  startSweeper(signal, 1).add({
    sweep: () => {
      swept += 1;
      if (swept === 2) resolve();
    },
  });
  return { swept: () => swept, done: promise };
}

test("it sweeps until its signal aborts, and never when that has happened before", async () => {
  const stop = new AbortController();
  const [never, stopped, going] = [twice(AbortSignal.abort()), twice(stop.signal), new AbortController()];
  await stopped.done;
  stop.abort();
  const after = stopped.swept();
  await twice(going.signal).done;
  going.abort();
  expect([never.swept(), stopped.swept()]).toEqual([0, after]);
});
