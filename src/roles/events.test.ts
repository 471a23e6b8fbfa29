import { expect, test } from "bun:test";
import { exampleForward } from "../core/events.fixture.ts";
import { EventLog } from "../core/events.ts";
import { EVERYBODY } from "../core/open-ports.ts";
import type { FollowedEvent } from "./control.ts";
import { followEvents, forwardEvents } from "./events.ts";

const append = (log: EventLog, count: number) => {
  for (let n = 0; n < count; n++) log.append({ event: "opened", forward: exampleForward({ id: `${n}` }) }, 0);
};
const short = (one: FollowedEvent | undefined) => (one?.event === "missed" ? `missed ${one.count}` : one?.seq);

test("a follower gets what is kept, then what comes, and is told what it missed", async () => {
  const log = new EventLog({ run: "run", kept: 3 });
  const stop = new AbortController();
  append(log, 5);
  const followed = followEvents(log, { since: 0, follow: true }, stop.signal);
  const next = async (count: number) => {
    const got: (string | number | undefined)[] = [];
    for (let n = 0; n < count; n++) got.push(short((await followed.next()).value ?? undefined));
    return got;
  };
  expect(await next(4)).toEqual(["missed 2", 3, 4, 5]);
  const coming = next(1);
  append(log, 1);
  expect(await coming).toEqual([6]);
  // It reads nothing while ten happen, of which three are kept.
  append(log, 10);
  expect(await next(4)).toEqual(["missed 7", 14, 15, 16]);
  const last = followed.next();
  stop.abort();
  expect((await last).done).toBe(true);
});

test("a follower begins where it says, and leaves nothing behind", async () => {
  const log = new EventLog({ run: "run" });
  append(log, 3);
  const seen: unknown[] = [];
  for await (const one of followEvents(log, { since: 1, follow: true }, new AbortController().signal)) {
    seen.push(short(one));
    if (seen.length === 2) break;
  }
  for await (const one of followEvents(log, { since: 99, follow: true }, new AbortController().signal)) {
    seen.push(short(one));
    break;
  }
  expect(seen).toEqual([2, 3, 1]);
});

test("without follow it ends with what is kept", async () => {
  const log = new EventLog({ run: "run" });
  append(log, 2);
  const seen = await Array.fromAsync(followEvents(log, { since: 0, follow: false }, new AbortController().signal));
  expect(seen.map(short)).toEqual([1, 2]);
});

test("listeners find the open forwards as the event left them", () => {
  const { log, open } = forwardEvents();
  const seen: unknown[] = [];
  log.subscribe(() => seen.push(open.ports(EVERYBODY)));
  append(log, 1);
  log.append({ event: "closed", forward: exampleForward({ id: "0" }), reason: "removed" }, 0);
  expect(seen).toEqual([[51413], []]);
  expect(forwardEvents().log.append({ event: "opened", forward: exampleForward() }, 0).id).toMatch(/^[0-9a-f]{16}-1$/);
});
