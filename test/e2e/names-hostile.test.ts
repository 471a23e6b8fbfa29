import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:tls";
import { DEFAULT_OPTIONS, type Limits } from "../../src/core/forward.ts";
import type { ForwardSpec } from "../../src/roles/control.ts";
import { FLAG } from "../../src/wire/http2/frames.ts";
import { curl } from "../fixtures/names-client.ts";
import { type NamesLab, openNamesLab, site } from "../fixtures/names-lab.ts";
import { frame, hpack, RawH2, request, requestFields, SETTING, setting, u32 } from "../fixtures/raw-h2.ts";
import { until } from "../fixtures/roles-lab.ts";

/** What a hostile visitor does to a site whose TLS the relay ends, and how others fare beside it. */
const HERE = "127.0.0.1";
const NAME = "end.example.org";
const PIECE = Buffer.alloc(64 * 1_024, "x");
const ENDLESS_PIECES = 4_096;
const BULK_PIECES = 256;
/** Of four streams: what they have here is 2 MB, and the system's sockets on the way take up to 16 MB each. Endless are 1 GB. */
const HELD_AT_MOST_BYTES = 96 * 1_048_576;
const CANCEL = 8;

let running: AsyncDisposableStack;
let lab: NamesLab;
let port: number;
let service: Service;
const whole = new AsyncDisposableStack();
beforeAll(async () => {
  lab = await openNamesLab(whole);
  service = await startService();
  port = await open({});
});
afterAll(() => whole.disposeAsync());
beforeEach(() => {
  running = new AsyncDisposableStack();
  Object.assign(service, { sentBytes: 0, most: 0 });
});
afterEach(() => running.disposeAsync());

/** Adds the site, or changes its limits. */
async function open(limits: Limits): Promise<number> {
  const spec = site("end", [NAME], service.port, { tls: "end" });
  if (spec.kind !== "remote") throw new Error("a site is remote");
  const limited: ForwardSpec = { ...spec, remote: { ...spec.remote, options: { ...DEFAULT_OPTIONS, limits } } };
  return (await lab.agent.add(limited)).endpoints[0]?.port ?? 0;
}

interface Service {
  readonly port: number;
  /** To those who asked for `/endless`. */
  sentBytes: number;
  /** Requests that are not answered; and the most at once. */
  open: number;
  most: number;
  /** Lets those who asked for `/wait` have their answer. */
  release(): void;
}

async function startService(): Promise<Service> {
  const waiting: ServerResponse[] = [];
  const told: Service = {
    port: 0,
    sentBytes: 0,
    open: 0,
    most: 0,
    release: () => {
      for (const answer of waiting.splice(0)) answer.end("waited");
    },
  };
  const pour = async (answer: ServerResponse, pieces: number, count: (bytes: number) => void) => {
    let wake: () => void = () => undefined;
    for (const event of ["drain", "close"]) answer.on(event, () => wake());
    for (let sent = 0; sent < pieces && !answer.destroyed; sent++) {
      count(PIECE.length);
      if (!answer.write(PIECE)) await new Promise<void>((resolve) => (wake = resolve));
    }
    answer.end();
  };
  const server = createServer((asked: IncomingMessage, answer: ServerResponse) => {
    told.open += 1;
    told.most = Math.max(told.most, told.open);
    answer.on("close", () => {
      told.open -= 1;
    });
    if (asked.url === "/endless") {
      void pour(answer, ENDLESS_PIECES, (bytes) => {
        told.sentBytes += bytes;
      });
    } else if (asked.url === "/bulk") void pour(answer, BULK_PIECES, () => undefined);
    else if (asked.url === "/wait") waiting.push(answer);
    else answer.end("fine");
  });
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve));
  whole.defer(() => void server.closeAllConnections());
  whole.defer(() => void server.close());
  return Object.assign(told, { port: (server.address() as { port: number }).port });
}

async function hostile(settings?: Uint8Array): Promise<RawH2> {
  const client = await RawH2.open(port, NAME, lab.ca, settings);
  running.defer(() => client.close());
  return client;
}

const honest = async (path = "/") => {
  const { status, body } = await curl(port, NAME, { caFile: lab.caFile, args: ["--http2"], path });
  return { status, bytes: body.length };
};
const FINE = { status: 200, bytes: "fine".length };
const visits = async () => (await lab.lab.relay.listForwards())[0]?.counters.visitorsOpen;
const nobodyIsIn = () => until(async () => (await visits()) === 0);

/** Frames that are sent over and over; `id` is that of a stream that was never there. */
const ATTACKS: [string, (id: number) => Buffer, Buffer?][] = [
  [
    "cancels what it asks for (rapid reset)",
    (id) => Buffer.concat([request(id, NAME), frame("reset", 0, id, u32(CANCEL))]),
  ],
  [
    "makes the relay cancel it",
    (id) => Buffer.concat([request(id, NAME, "/wait", true), frame("window", 0, id, u32(0))]),
  ],
  ["asks for more at once than it may", (id) => request(id, NAME, "/wait")],
  [
    "sends a head without end",
    (id) => (id === 1 ? frame("headers", FLAG.endStream, 1, hpack(requestFields(NAME))) : frame("continuation", 0, 1)),
  ],
  [
    "sends a head that is long",
    (id) =>
      id === 1
        ? frame("headers", 0, 1, hpack(requestFields(NAME)))
        : frame("continuation", 0, 1, hpack([[`x${id}`, "y".repeat(8_000)]])),
  ],
  [
    "packs a large head into few bytes",
    (id) =>
      frame(
        "headers",
        FLAG.endHeaders | FLAG.endStream,
        id,
        id === 1 ? BOMB : Buffer.concat([hpack(requestFields(NAME)), Buffer.alloc(8_000, 0xbe)]),
      ),
  ],
  ["sends settings", () => frame("settings", 0, 0, setting(SETTING.windowBytes, 65_535))],
  ["pings", () => frame("ping", 0, 0, Buffer.alloc(8))],
  ["opens windows", () => frame("window", 0, 0, u32(1))],
  ["sends frames that nobody knows", () => frame(200, 0, 0, Buffer.alloc(10))],
  ["sends content of nothing", (id) => (id === 1 ? request(1, NAME, "/wait", true) : frame("data", 0, 1))],
  [
    "sends content beyond its window",
    (id) => (id === 1 ? request(1, NAME, "/wait", true) : frame("data", 0, 1, Buffer.alloc(16_384))),
  ],
];
/** A field of 3,900 bytes for the table, which the next heads name by one byte each time. */
const BOMB = Buffer.concat([hpack(requestFields(NAME)), hpack([["x-bomb", "y".repeat(3_900)]], 0x40)]);
const FRAMES_A_WRITE = 500;
const FRAMES_AT_MOST = 400_000;

describe("a visitor who", () => {
  for (const [what, make] of ATTACKS) {
    test(`${what} is sent away, and others notice nothing`, async () => {
      expect(await honest()).toEqual(FINE);
      const client = await hostile();
      const beside = honest();
      for (let id = 1; !client.isClosed && id < 2 * FRAMES_AT_MOST; ) {
        const frames: Buffer[] = [];
        for (let count = 0; count < FRAMES_A_WRITE; count++, id += 2) frames.push(make(id));
        client.send(...frames);
        await client.drained();
        // What it hears of it, if it listens.
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.closed;
      expect(await beside).toEqual(FINE);
      service.release();
      await nobodyIsIn();
      expect(await honest()).toEqual(FINE);
    }, 20_000);
  }
});

const OPEN_WINDOWS = Buffer.concat([setting(SETTING.windowBytes, 0x7fff_ffff)]);
const readers: [string, (paths: readonly string[]) => Promise<() => void>][] = [
  [
    "by HTTP/2 that opens no window",
    async (paths) => {
      const client = await hostile(setting(SETTING.windowBytes, 0));
      client.send(...paths.map((path, at) => request(2 * at + 1, NAME, path)));
      return () => client.close();
    },
  ],
  [
    "by HTTP/2 that opens all windows and reads nothing",
    async (paths) => {
      const client = await hostile(OPEN_WINDOWS);
      client.socket.pause();
      client.send(frame("window", 0, 0, u32(0x7fff_0000)), ...paths.map((path, at) => request(2 * at + 1, NAME, path)));
      return () => client.close();
    },
  ],
  [
    "by HTTP/1.1",
    async (paths) => {
      const sockets = paths.map((path) => {
        const socket = connect({ host: HERE, port, servername: NAME, ca: lab.ca, ALPNProtocols: ["http/1.1"] });
        socket.on("error", () => undefined);
        socket.pause();
        socket.write(`GET ${path} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
        return socket;
      });
      return () => {
        for (const socket of sockets) socket.destroy();
      };
    },
  ],
];
describe("a visitor who does not take what it asks for", () => {
  for (const [how, begin] of readers) {
    test(`${how} holds its service up, and not the relay's memory`, async () => {
      const leave = await begin(["/endless", "/endless", "/endless", "/endless"]);
      running.defer(leave);
      let before = -1;
      // Until it could send nothing while another visitor had all of a file.
      while (before !== service.sentBytes && service.sentBytes < HELD_AT_MOST_BYTES) {
        before = service.sentBytes;
        expect(await honest("/bulk")).toEqual({ status: 200, bytes: BULK_PIECES * PIECE.length });
      }
      expect([service.sentBytes > 0, service.sentBytes < HELD_AT_MOST_BYTES]).toEqual([true, true]);
      // When it goes, its service is told so.
      leave();
      await nobodyIsIn();
      await until(() => service.open === 0);
    }, 30_000);
  }
});

test("a request that is cancelled without an error ends at the service as well", async () => {
  const client = await hostile(setting(SETTING.windowBytes, 1_000));
  client.send(request(1, NAME, "/endless"));
  expect(await client.frame(({ kind, stream }) => kind === "data" && stream === 1)).not.toBeNull();
  client.send(frame("reset", 0, 1, u32(0)));
  await nobodyIsIn();
  await until(() => service.open === 0);
  expect(client.isClosed).toBe(false);
});

test("the requests of one connection count where the site limits connections: the others wait, and none is refused", async () => {
  await open({ connections: 3 });
  const client = await hostile();
  const ids = Array.from({ length: 12 }, (_, at) => 2 * at + 1);
  client.send(...ids.map((id) => request(id, NAME, "/wait")));
  let answered = 0;
  const all = ids.map(async (id) => {
    const heard = await client.frame(
      ({ kind, stream, flags }) => kind === "data" && stream === id && (flags & FLAG.endStream) !== 0,
    );
    if (heard !== null) answered += 1;
  });
  while (answered < ids.length) {
    service.release();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(all);
  expect(service.most).toBeLessThanOrEqual(3);
  // What it has, others have not.
  client.send(...[101, 103, 105].map((id) => request(id, NAME, "/wait")));
  await until(() => service.open === 3);
  expect((await curl(port, NAME, { caFile: lab.caFile, args: ["--http2"] })).exit).not.toBe(0);
  service.release();
  // It leaves in the middle of them, and gives back all that it had.
  client.send(...[107, 109, 111, 113].map((id) => request(id, NAME, "/wait")));
  await until(() => service.open === 3);
  client.close();
  await nobodyIsIn();
  const next = await hostile();
  next.send(...[1, 3, 5].map((id) => request(id, NAME, "/wait")));
  await until(() => service.open === 3);
  service.release();
  next.close();
  await nobodyIsIn();
  expect(await honest()).toEqual(FINE);
}, 20_000);
