import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer } from "node:http";
import {
  connect,
  createServer as createH2,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Server } from "node:net";
import { type NamesLab, openNamesLab, site } from "../fixtures/names-lab.ts";

/** Fields go through HTTP/2 by whatever name they have: also by those of what every object of JavaScript has. */
const HERE = "127.0.0.1";
const END = "end.example.org";
const RPC = "rpc.example.org";
const NAMES = ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"].map((name) => name.toLowerCase());

let lab: NamesLab;
let port: number;
let heard: IncomingHttpHeaders;
const whole = new AsyncDisposableStack();

beforeAll(async () => {
  lab = await openNamesLab(whole);
  const http1 = createServer((_asked, answer) => {
    const twice = [...NAMES, ...NAMES].flatMap((name) => [name, "x"]);
    answer.writeHead(200, [...twice, "set-cookie", "a=1", "set-cookie", "b=2"]);
    answer.end();
  });
  const rpc = createH2();
  rpc.on("stream", (stream: ServerHttp2Stream, headers) => {
    heard = headers;
    stream.respond({ ":status": 200 }, { endStream: true });
  });
  port = (await lab.agent.add(site("end", [END], await listening(http1), { tls: "end" }))).endpoints[0]?.port ?? 0;
  await lab.agent.add(site("rpc", [RPC], await listening(rpc), { tls: "end", service: "h2c" }));
});
afterAll(() => whole.disposeAsync());

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve));
  whole.defer(() => void server.close());
  return (server.address() as { port: number }).port;
}

async function ask(name: string, headers: OutgoingHttpHeaders): Promise<IncomingHttpHeaders> {
  const client = connect(`https://${HERE}:${port}`, { ca: lab.ca, servername: name });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingHttpHeaders>();
  client.on("error", reject);
  const stream = client.request({ ":path": "/", ":authority": name, ...headers });
  stream.on("response", resolve);
  stream.on("error", reject);
  stream.resume();
  try {
    return await promise;
  } finally {
    client.destroy();
  }
}
const own = (headers: IncomingHttpHeaders, name: string) => Object.getOwnPropertyDescriptor(headers, name)?.value;

test("of an answer by HTTP/1.1", async () => {
  const headers = await ask(END, {});
  expect(Number(headers[":status"])).toBe(200);
  expect(NAMES.map((name) => [name, own(headers, name)])).toEqual(NAMES.map((name) => [name, "x, x"]));
  expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  // The device is still there.
  expect(Number((await ask(END, {}))[":status"])).toBe(200);
});

test("of a request to a service of HTTP/2", async () => {
  const sent = Object.fromEntries(NAMES.map((name) => [name, "x"]));
  expect(Number((await ask(RPC, sent))[":status"])).toBe(200);
  expect(NAMES.map((name) => [name, own(heard, name)])).toEqual(NAMES.map((name) => [name, "x"]));
});
