import { expect, test } from "bun:test";
import type { RouterFailure } from "../../core/router/model.ts";
import { calledOff, noAnswer } from "./failures.ts";
import { Turns } from "./turns.ts";

const ROUTER = "192.168.1.1";
const off = () => calledOff(ROUTER);
const never = new AbortController().signal;

function line() {
  const turns = new Turns();
  const events: string[] = [];
  const take = (name: string, signal = never): Promise<void> =>
    turns.take(signal, off).then((failure: RouterFailure | null) => {
      events.push(`${name}: ${failure === null ? "turn" : failure.message}`);
    });
  return { turns, events, take };
}

test("one at a time, in the order they came", async () => {
  const { turns, events, take } = line();
  await take("a");
  const [b, c] = [take("b"), take("c")];
  expect(events).toEqual(["a: turn"]);
  turns.pass(null);
  await b;
  turns.pass(null);
  await c;
  turns.pass(null);
  await take("d");
  expect(events).toEqual(["a: turn", "b: turn", "c: turn", "d: turn"]);
});

test("without an answer for one, those behind it have none either; who comes after is asked for", async () => {
  const { turns, events, take } = line();
  await take("a");
  const behind = [take("b"), take("c")];
  turns.pass(noAnswer(ROUTER));
  await Promise.all(behind);
  await take("d");
  expect(events).toEqual(["a: turn", `b: ${noAnswer(ROUTER).message}`, `c: ${noAnswer(ROUTER).message}`, "d: turn"]);
});

test("called off: before it comes, while it waits, and not any more once it has its turn", async () => {
  const { turns, events, take } = line();
  const calling = new AbortController();
  await take("a", calling.signal);
  const b = take("b", calling.signal);
  const c = take("c");
  calling.abort();
  await b;
  await take("d", calling.signal);
  turns.pass(null);
  await c;
  expect(events).toEqual(["a: turn", `b: ${off().message}`, `d: ${off().message}`, "c: turn"]);
});
