import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import type { HttpReply } from "../../wire/igd/http-reply.ts";
import { err, ok } from "../../wire/result.ts";
import { EXCHANGE_DEADLINE_MS, exchange, QUIET_MS } from "./exchange.ts";
import { garbled } from "./failures.ts";

const servers = new Set<Server>();
const sockets = new Set<Socket>();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  sockets.clear();
  servers.clear();
});

/** A router that does `act` with each connection once the request is there. */
async function router(act: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => act(socket));
  });
  servers.add(server);
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A document is whole when it ends so, as an XML reader sees it. */
function readWhole(reply: HttpReply) {
  const text = Buffer.from(reply.body).toString();
  return text.endsWith("</a>") ? ok(`${reply.status} ${text}`) : err(garbled(`Not whole: ${text}.`));
}

function ask(port: number, timers: ManualTimers, over: { signal?: AbortSignal; localAddress?: string | null } = {}) {
  const url = { address: "127.0.0.1", port, path: "/x" };
  return exchange({
    call: { method: "GET", url, headers: [], body: new Uint8Array(0) },
    host: "127.0.0.1",
    localAddress: null,
    maxBodyBytes: 100,
    signal: new AbortController().signal,
    after: timers.after,
    read: readWhole,
    ...over,
  });
}

const whole = "<a></a>";
const head = (headers = ""): string => `HTTP/1.1 200 OK\r\n${headers}\r\n`;

describe("the end of a reply", () => {
  test("its length", async () => {
    const timers = new ManualTimers();
    const port = await router((socket) => socket.write(`${head("Content-Length: 7\r\n")}${whole}`));
    expect(await ask(port, timers)).toEqual({ ok: true, value: `200 ${whole}` });
    expect(timers.count()).toBe(0);
  });

  test("the end of the connection", async () => {
    const port = await router((socket) => socket.end(`${head()}${whole}`));
    expect(await ask(port, new ManualTimers())).toEqual({ ok: true, value: `200 ${whole}` });
  });

  test.each([
    ["no length, and nothing more comes", head()],
    ["a length that never comes", head("Content-Length: 99\r\n")],
    ["chunks that never end", `${head("Transfer-Encoding: chunked\r\n")}7\r\n`],
  ])("%s: when it is whole in itself", async (_name, start) => {
    const timers = new ManualTimers();
    const port = await router((socket) => socket.write(`${start}${whole}`));
    const asking = ask(port, timers);
    await timers.fire(QUIET_MS);
    expect(await asking).toEqual({ ok: true, value: `200 ${whole}` });
  });

  test("a pause within: it waits on", async () => {
    const timers = new ManualTimers();
    const server = Promise.withResolvers<Socket>();
    const port = await router((socket) => {
      socket.write(`${head()}<a>`);
      server.resolve(socket);
    });
    const asking = ask(port, timers);
    const socket = await server.promise;
    await timers.fire(QUIET_MS);
    socket.write("</a>");
    await timers.fire(QUIET_MS);
    expect(await asking).toEqual({ ok: true, value: `200 ${whole}` });
  });

  test("a length that is too small, and the rest behind it", async () => {
    const timers = new ManualTimers();
    const port = await router((socket) => socket.write(`${head("Content-Length: 5\r\n")}${whole}`));
    const asking = ask(port, timers);
    await timers.fire(QUIET_MS);
    expect(await asking).toEqual({ ok: true, value: `200 ${whole}` });
  });

  test("all of it, and it makes no sense: it is not waited for more", async () => {
    const timers = new ManualTimers();
    const port = await router((socket) => socket.write(`${head("Content-Length: 3\r\n")}<a>`));
    const asking = ask(port, timers);
    await timers.fire(QUIET_MS);
    expect(await asking).toMatchObject({ ok: false, error: { kind: "garbled", message: "Not whole: <a>." } });
  });

  test("a reset behind it", async () => {
    const port = await router((socket) => {
      socket.write(`${head()}${whole}`, () => socket.resetAndDestroy());
    });
    expect(await ask(port, new ManualTimers())).toEqual({ ok: true, value: `200 ${whole}` });
  });
});

describe("no reply", () => {
  test.each([
    ["not a word", "", "silent", /did not answer in time/],
    ["half a head", "HTTP/1.1 200 OK\r\nA: b", "silent", /did not answer in time/],
    ["half a body", `${head()}<a>`, "garbled", /Not whole/],
  ] as const)("%s until the deadline", async (_name, said, kind, message) => {
    const timers = new ManualTimers();
    const server = Promise.withResolvers<void>();
    const port = await router((socket) => {
      if (said !== "") socket.write(said);
      server.resolve();
    });
    const asking = ask(port, timers);
    await server.promise;
    if (said.endsWith("<a>")) await timers.waiting(QUIET_MS);
    await timers.fire(EXCHANGE_DEADLINE_MS);
    expect(await asking).toMatchObject({ ok: false, error: { kind, message: expect.stringMatching(message) } });
    expect(timers.count()).toBe(0);
  });

  test.each([
    ["the end at once", "", /without an answer/],
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n", /no HTTP/],
    ["too much", `${head()}${"a".repeat(101)}`, /more than any router/],
    ["a length that is too much", head("Content-Length: 101\r\n"), /more than any router/],
    ["too long a head", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(2000)}`, /more than any router/],
  ])("%s", async (_name, said, message) => {
    const port = await router((socket) => socket.end(said));
    const timers = new ManualTimers();
    expect(await ask(port, timers)).toMatchObject({
      ok: false,
      error: { kind: "garbled", message: expect.stringMatching(message) },
    });
    expect(timers.count()).toBe(0);
  });

  test("nothing listens", async () => {
    const port = await router(() => {});
    const [server] = servers;
    const closed = Promise.withResolvers<void>();
    server?.close(() => closed.resolve());
    await closed.promise;
    expect(await ask(port, new ManualTimers())).toMatchObject({ ok: false, error: { kind: "closed" } });
  });

  test("called off, before and within", async () => {
    const timers = new ManualTimers();
    const calling = new AbortController();
    const server = Promise.withResolvers<void>();
    const port = await router(() => server.resolve());
    const asking = ask(port, timers, { signal: calling.signal });
    await server.promise;
    calling.abort();
    const expected = { ok: false, error: { message: expect.stringContaining("called off") } };
    expect(await asking).toMatchObject(expected);
    expect(await ask(port, timers, { signal: calling.signal })).toMatchObject(expected);
    expect(timers.count()).toBe(0);
  });
});

describe("who asks", () => {
  test.each([
    ["an address of this machine", "127.0.0.3", "127.0.0.3"],
    ["one that is another host's: the system's choice", "203.0.113.9", "127.0.0.1"],
  ])("%s", async (_name, localAddress, expected) => {
    const asker = Promise.withResolvers<string | undefined>();
    const port = await router((socket) => {
      asker.resolve(socket.remoteAddress);
      socket.end(`${head()}${whole}`);
    });
    expect(await ask(port, new ManualTimers(), { localAddress })).toMatchObject({ ok: true });
    expect(await asker.promise).toBe(expected);
  });
});
