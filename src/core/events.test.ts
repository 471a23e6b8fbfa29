import { describe, expect, test } from "bun:test";
import { EXAMPLE_AT_MS, exampleForward } from "./events.fixture.ts";
import { EventLog, forwardKey } from "./events.ts";

function filled(events: number, kept: number): EventLog {
  const log = new EventLog({ run: "run", kept });
  for (let n = 0; n < events; n++) log.append({ event: "opened", forward: exampleForward({ id: `${n}` }) }, n);
  return log;
}

describe("EventLog", () => {
  test("an event has the version, a number, an id of its run and the time, and survives JSON", () => {
    const log = new EventLog({ run: "a1" });
    const forward = exampleForward();
    log.append({ event: "opened", forward }, 1);
    const event = log.append({ event: "closed", forward, reason: "expired" }, EXAMPLE_AT_MS);
    expect(event).toEqual({
      v: 1,
      id: "a1-2",
      seq: 2,
      atMs: EXAMPLE_AT_MS,
      event: "closed",
      forward,
      reason: "expired",
    });
    expect(JSON.parse(JSON.stringify(event))).toEqual(event);
  });

  test.each<[string, number, number, number, number[]]>([
    ["nothing happened", 0, 0, 0, []],
    ["everything", 2, 0, 0, [1, 2]],
    ["the rest", 3, 1, 0, [2, 3]],
    ["nothing new", 3, 3, 0, []],
    ["full to the brim", 4, 0, 0, [1, 2, 3, 4]],
    ["one gone", 5, 0, 1, [2, 3, 4, 5]],
    ["many gone", 103, 7, 92, [100, 101, 102, 103]],
    ["just not too slow", 103, 99, 0, [100, 101, 102, 103]],
    ["a number of another run", 3, 500, 0, [1, 2, 3]],
    ["a number that is none", 3, -5, 0, [1, 2, 3]],
  ])("since: %s (%d events, read to %d)", (_what, count, readTo, missed, seqs) => {
    const since = filled(count, 4).since(readTo);
    expect({ missed: since.missed, seqs: since.events.map(({ seq }) => seq) }).toEqual({ missed, seqs });
  });

  test("listeners hear in order, until they leave, and may leave while they are told", () => {
    const log = filled(0, 4);
    const heard: string[] = [];
    const leaveA = log.subscribe(({ seq }) => {
      heard.push(`a${seq}`);
      leaveA();
    });
    log.subscribe(({ seq }) => heard.push(`b${seq}`));
    log.append({ event: "opened", forward: exampleForward() }, 0);
    log.append({ event: "changed", forward: exampleForward() }, 0);
    expect(heard).toEqual(["a1", "b1", "b2"]);
  });
});

test("the same id of two owners names two forwards", () => {
  const device = { kind: "device", id: "d1", name: "attic" } as const;
  const keys = [
    exampleForward(),
    exampleForward({ owner: { kind: "client", address: "192.168.1.21" } }),
    exampleForward({ owner: device }),
    exampleForward({ owner: { ...device, id: "d2" } }),
    exampleForward({ owner: { kind: "host" } }),
    exampleForward({ owner: { kind: "host" }, type: "direct" }),
  ].map(forwardKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(forwardKey(exampleForward({ name: "renamed", ports: [] }))).toBe(forwardKey(exampleForward()));
});
