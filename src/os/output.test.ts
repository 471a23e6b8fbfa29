import { describe, expect, test } from "bun:test";
import { Output, type OutputStream } from "./output.ts";

const broken = (code: string) => Object.assign(new Error(code), { code });

/** A stream whose reader takes a write when told to. */
function reader() {
  const waiting: ((error?: Error) => void)[] = [];
  const told: ((error: Error) => void)[] = [];
  const stream: OutputStream = {
    write: (_text, done) => waiting.push(done),
    on: (_event, listener) => told.push(listener),
  };
  return {
    stream,
    waiting,
    take: (error?: Error) => waiting.shift()?.(error),
    fail: (error: Error) => told.forEach((listener) => void listener(error)),
  };
}

/** After a turn of the event loop. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  await new Promise(setImmediate);
  return settled;
}

describe("flushed", () => {
  test("at once, when nothing was written", async () => {
    await new Output(reader().stream).flushed();
  });

  test("when each write was taken, and what came meanwhile", async () => {
    const { stream, take } = reader();
    const output = new Output(stream);
    output.write("one");
    output.write("two");
    const flushed = output.flushed();
    take();
    expect(await isSettled(flushed)).toBe(false);
    output.write("three");
    take();
    expect(await isSettled(flushed)).toBe(false);
    take();
    await flushed;
    expect(output.lost).toBeNull();
  });

  test.each<[string, unknown]>([
    ["EPIPE", null],
    ["ENOSPC", broken("ENOSPC")],
  ])("when nothing can be written any more: %s", async (code, lost) => {
    const { stream, waiting, take, fail } = reader();
    let failures = 0;
    const output = new Output(stream, () => failures++);
    output.write("one");
    output.write("two");
    const flushed = output.flushed();
    take(broken(code));
    await flushed;
    take(broken(code));
    fail(broken(code));
    output.write("three");
    expect({ failures, waiting, lost: output.lost }).toEqual({ failures: 1, waiting: [], lost });
  });
});
