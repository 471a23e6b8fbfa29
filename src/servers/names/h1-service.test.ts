import { beforeEach, expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { Admission } from "../../core/admission.ts";
import type { Limits } from "../../core/forward.ts";
import { judgeRequest } from "../../core/names/request.ts";
import type { ByteEnd, Visit } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { Visits } from "../../dataplanes/io/visits.ts";
import { Clients } from "../proxy/clients.ts";
import { H1Service } from "./h1-service.ts";
import { H2Places } from "./h2-places.ts";
import type { H2Wire } from "./h2-wire.ts";
import type { Site } from "./sites.ts";

const ADDRESS = "203.0.113.9";
const ENDPOINT = { address: ADDRESS, port: 1 };
const VISIT: Visit = { visitor: ENDPOINT, entry: ENDPOINT, externalPort: 443 };
const OK = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

/** A stream of a visitor, who has sent its head and takes what it gets. */
class FakeStream extends EventEmitter {
  readonly endAfterHeaders = true;
  destroyed = false;
  headersSent = false;
  status = 0;
  readonly writableNeedDrain = false;
  readonly writableLength = 0;
  respond(headers: Record<string, number>): void {
    this.headersSent = true;
    this.status = Number(headers[":status"]);
  }
  write = () => true;
  end(): void {
    queueMicrotask(() => this.close());
  }
  resume(): void {}
  close(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

/** One connection as the service has it. */
class FakeExit implements ByteEnd {
  sink = SILENT_SINK;
  readonly heard: string[] = [];
  isOpen = true;
  write(bytes: Uint8Array): number {
    this.heard.push(Buffer.from(bytes).toString().split(" HTTP")[0] ?? "");
    return 0;
  }
  backlog(): void {}
  end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.sink.onClose(null);
  }
  reset(): void {
    this.end();
  }
  answer(): void {
    this.sink.onData(OK);
  }
}

let nowMs: number;
let exits: FakeExit[];
let host: { isClosed: boolean };
let service: H1Service;
let admission: Admission;

beforeEach(() => setUp({}));
function setUp(limits: Limits): void {
  nowMs = 0;
  exits = [];
  const sweeper = { ...startSweeper(AbortSignal.abort()), nowMs: () => nowMs };
  admission = new Admission({ source: { allow: [], deny: [] }, limits });
  // The visitor itself, who is in.
  expect(admission.admit(ADDRESS, 0)).toBeNull();
  const places = new H2Places(admission, ADDRESS, new Clients(sweeper));
  host = Object.assign(
    {
      isClosed: false,
      visits: new Visits({ tcpIdleSec: null, halfCloseIdleSec: 60, udpIdleSec: 60 }),
      shape: (end: ByteEnd) => end,
      connect: () => {
        const exit = new FakeExit();
        exits.push(exit);
        return exit;
      },
    },
    {},
  );
  const ignore = () => undefined;
  const wire = { outlets: new Set(), queuedBytes: 0, forget: ignore, wrote: ignore } as unknown as H2Wire;
  service = new H1Service({ site: { host } as unknown as Site, visit: VISIT, wire, places, sweeper });
}

function ask(path: string, method = "GET"): FakeStream {
  const stream = new FakeStream();
  const fields = [{ name: "Host", value: "one.example.org" }];
  const asker = { address: ADDRESS, scheme: "https" as const };
  const judged = judgeRequest({ method, target: path, minor: 1, fields }, "one.example.org", asker, false);
  if (!judged.ok) throw new Error("not judged");
  service.forward(stream as unknown as ServerHttp2Stream, judged.value);
  return stream;
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** What each connection was asked; the closed ones with a bar behind. */
const seen = () => exits.map(({ heard, isOpen }) => `${heard.join(", ")}${isOpen ? "" : " |"}`);
async function askAndAnswer(count: number): Promise<void> {
  for (let at = 0; at < count; at++) ask(`/${at}`);
  for (const exit of exits) if (exit.isOpen) exit.answer();
  await turn();
}

const NEXT: [string, (() => void)[], string, string[]][] = [
  ["has the connection", [() => wait(3_999)], "GET", ["GET /0, GET /next"]],
  ["has a new one after four seconds", [() => wait(4_000)], "GET", ["GET /0", "GET /next"]],
  ["that changes something has the connection", [() => wait(999)], "POST", ["GET /0, POST /next"]],
  ["that changes something has a new one after a second", [() => wait(1_000)], "POST", ["GET /0", "POST /next"]],
  [
    "finds it closed after four seconds",
    [() => wait(4_000), () => service.look(nowMs)],
    "GET",
    ["GET /0 |", "GET /next"],
  ],
  ["finds it open before", [() => wait(3_999), () => service.look(nowMs)], "GET", ["GET /0, GET /next"]],
  ["has a new one when nobody new may come", [() => (host.isClosed = true)], "GET", ["GET /0 |", "GET /next"]],
  ["has a new one when the visitor is asked to go", [() => service.drain()], "GET", ["GET /0 |", "GET /next"]],
  ["has a new one when bytes came that nobody asked for", [() => exits[0]?.answer()], "GET", ["GET /0 |", "GET /next"]],
  ["has a new one when the service closed it", [() => exits[0]?.sink.onEnd()], "GET", ["GET /0 |", "GET /next"]],
];
function wait(ms: number): void {
  nowMs += ms;
}
for (const [name, steps, method, expected] of NEXT) {
  test(`the next request ${name}`, async () => {
    await askAndAnswer(1);
    for (const step of steps) step();
    ask("/next", method);
    expect(seen()).toEqual(expected);
  });
}

test("a connection that is always busy is a new one after ten seconds", async () => {
  for (let at = 0; at < 12; at++) {
    ask(`/${at}`);
    exits.findLast(({ isOpen }) => isOpen)?.answer();
    await turn();
    wait(1_000);
  }
  expect(exits.map(({ heard, isOpen }) => [heard.length, isOpen])).toEqual([
    [10, false],
    [2, true],
  ]);
});

test("what comes behind an answer is no answer to the next request, though that waits already", async () => {
  setUp({ connections: 1 });
  const [first, second] = [ask("/first"), ask("/second")];
  exits[0]?.answer();
  exits[0]?.answer();
  await turn();
  expect([first.status, second.status]).toEqual([200, 0]);
  expect(seen()).toEqual(["GET /first |", "GET /second"]);
});

test("requests that wait for a place have the connections of those before, in turn", async () => {
  setUp({ connections: 2 });
  const streams = [1, 2, 3, 4, 5].map((at) => ask(`/${at}`));
  expect(admission.open).toBe(2);
  // It does not wait any more.
  streams[3]?.close();
  for (let round = 0; round < 4; round++) {
    for (const exit of exits) if (exit.isOpen && streams.some(({ destroyed }) => !destroyed)) exit.answer();
    await turn();
  }
  expect(seen()[0]).toStartWith("GET /1, GET /3");
  expect(streams.map(({ status }) => status)).toEqual([200, 200, 200, 0, 200]);
  expect(admission.open).toBeLessThanOrEqual(2);
});

test("idle connections are sixteen at most", async () => {
  await askAndAnswer(20);
  expect(exits.filter(({ isOpen }) => isOpen)).toHaveLength(16);
  expect(admission.open).toBe(16);
});

const LIMITED: [string, Limits, number][] = [
  ["nothing is limited", {}, 3],
  ["there is plenty", { connections: 6, connectionsPerSource: 6 }, 3],
  ["others could find none", { connections: 5 }, 2],
  ["others from there could find none", { connectionsPerSource: 3 }, 1],
];
for (const [name, limits, kept] of LIMITED) {
  test(`of three that are not in use ${kept} stay open when ${name}`, async () => {
    setUp(limits);
    await askAndAnswer(3);
    expect([exits.filter(({ isOpen }) => isOpen).length, admission.open]).toEqual([kept, kept]);
  });
}

test("idle connections go when the others become many", async () => {
  setUp({ connections: 10 });
  await askAndAnswer(4);
  expect(admission.open).toBe(4);
  for (let at = 0; at < 4; at++) admission.admit("198.51.100.1", 0);
  service.look(nowMs);
  expect(exits.filter(({ isOpen }) => isOpen)).toHaveLength(1);
  expect(admission.open).toBe(5);
});
