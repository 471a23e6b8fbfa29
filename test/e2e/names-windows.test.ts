import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { createServer as createH2, type ServerHttp2Stream } from "node:http2";
import { createServer, type Server } from "node:net";
import { FLAG } from "../../src/wire/http2/frames.ts";
import { type NamesLab, openNamesLab, site, startWeb } from "../fixtures/names-lab.ts";
import { frame, RawH2, request, SETTING, setting, u32 } from "../fixtures/raw-h2.ts";

/** Streams of HTTP/2 beside one whose window is used up: each waits for its own window, and for no other one's. */
const HERE = "127.0.0.1";
const NAME = "end.example.org";
const RPC = "rpc.example.org";
const LARGE_BYTES = 2 * 1_048_576;
const WIDE_BYTES = 8 * 1_048_576;
const NARROW_BYTES = 16_384;

let lab: NamesLab;
let port: number;
/** A visitor has the head of an answer, whose content comes then. */
let headCame: PromiseWithResolvers<void>;
let running: AsyncDisposableStack;
const whole = new AsyncDisposableStack();

beforeAll(async () => {
  lab = await openNamesLab(whole);
  const large = Buffer.alloc(LARGE_BYTES, "x");
  const late = () =>
    new ReadableStream({
      start: async (answer) => {
        answer.enqueue("be");
        await headCame.promise;
        answer.enqueue("gun");
        answer.close();
      },
    });
  const service = startWeb(whole, (asked) => new Response(new URL(asked.url).pathname === "/late" ? late() : large));
  const rpc = createH2();
  rpc.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200 });
    if (headers[":path"] === "/late") void headCame.promise.then(() => stream.end("begun"));
    else stream.end(large);
  });
  port = (await lab.agent.add(site("end", [NAME], service, { tls: "end" }))).endpoints[0]?.port ?? 0;
  await lab.agent.add(site("rpc", [RPC], await listening(rpc), { tls: "end", service: "h2c" }));
});
afterAll(() => whole.disposeAsync());
beforeEach(() => {
  running = new AsyncDisposableStack();
  headCame = Promise.withResolvers();
});
afterEach(() => running.disposeAsync());

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve));
  whole.defer(() => void server.close());
  return (server.address() as { port: number }).port;
}

async function visit(name: string): Promise<RawH2> {
  const client = await RawH2.open(port, name, lab.ca, setting(SETTING.windowBytes, NARROW_BYTES));
  running.defer(() => client.close());
  return client;
}

const contentBytes = (peer: RawH2, id: number) =>
  peer.heard
    .filter(({ kind, stream }) => kind === "data" && stream === id)
    .reduce((bytes, { payload }) => bytes + payload.length, 0);
/** How much content a stream had when it was whole. */
async function wholeBytes(peer: RawH2, id: number): Promise<number> {
  await peer.frame(({ kind, stream, flags }) => kind === "data" && stream === id && (flags & FLAG.endStream) !== 0);
  return contentBytes(peer, id);
}
const headOf = (peer: RawH2, stream: number) =>
  peer.frame(({ kind, stream: id }) => kind === "headers" && id === stream);

/** Asks for a file, and opens no further window for it; the connection's window is wide. */
async function besideOneThatWaits(name: string): Promise<RawH2> {
  const client = await visit(name);
  client.send(request(1, name, "/large"), frame("window", 0, 0, u32(WIDE_BYTES)));
  await client.frame(() => contentBytes(client, 1) === NARROW_BYTES);
  return client;
}

const SERVICES: [string, string][] = [
  ["HTTP/1", NAME],
  ["HTTP/2", RPC],
];
for (const [speaks, name] of SERVICES) {
  test(`a file of a service of ${speaks} comes beside one that waits for its window`, async () => {
    const client = await besideOneThatWaits(name);
    // The last that this visitor says: nothing else wakes the relay.
    client.send(request(3, name, "/large"), frame("window", 0, 3, u32(WIDE_BYTES)));
    expect(await wholeBytes(client, 3)).toBe(LARGE_BYTES);
  }, 10_000);

  test(`content of a service of ${speaks} comes after its head, beside one that waits for its window`, async () => {
    const client = await besideOneThatWaits(name);
    client.send(request(3, name, "/late"));
    await headOf(client, 3);
    headCame.resolve();
    expect(await wholeBytes(client, 3)).toBe("begun".length);
  }, 10_000);
}

test("what is sent to a service of HTTP/2 goes beside what waits for the service's window", async () => {
  const came = Promise.withResolvers<RawH2>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    came.resolve(RawH2.accept(socket, setting(SETTING.windowBytes, NARROW_BYTES)));
  });
  const name = "upload.example.org";
  await lab.agent.add(site("upload", [name], await listening(server), { tls: "end", service: "h2c" }));
  const client = await visit(name);
  client.send(request(1, name));
  const service = await came.promise;
  running.defer(() => service.close());
  // Only requests after this one know how little this service takes (Bun 1.4.5).
  await service.frame(({ kind, flags }) => kind === "settings" && (flags & FLAG.ack) !== 0);
  client.send(request(3, name, "/", true));
  client.send(frame("data", 0, 3, Buffer.alloc(NARROW_BYTES)), frame("data", 0, 3, Buffer.alloc(1_000)));
  // It has as much as it takes; the rest waits.
  await service.frame(() => contentBytes(service, 3) === NARROW_BYTES);
  client.send(request(5, name, "/", true));
  await headOf(service, 5);
  client.send(frame("data", FLAG.endStream, 5, Buffer.alloc(10_000)));
  expect(await wholeBytes(service, 5)).toBe(10_000);
}, 10_000);
