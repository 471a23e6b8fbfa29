import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import type { Socket } from "bun";
import { FLAG } from "../../src/wire/http2/frames.ts";
import { type NamesLab, openNamesLab, site } from "../fixtures/names-lab.ts";
import { frame, RawH2, request, SETTING, setting, u32 } from "../fixtures/raw-h2.ts";
import { until } from "../fixtures/roles-lab.ts";

/** Which requests by HTTP/2 have a connection to a service of HTTP/1.1 that had another before. */
const HERE = "127.0.0.1";
const NAME = "end.example.org";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** Above what is read ahead for a visitor who takes nothing. */
const LARGE_BYTES = 2 * 1_048_576;

interface Asked {
  /** How many there were before the connection that it came by. */
  readonly connection: number;
  readonly line: string;
}
interface Peer {
  readonly id: number;
  heard: string;
}

let lab: NamesLab;
let port: number;
/** What a service answers, by path; null = it closes. */
let answers: Record<string, (socket: Socket<Peer>) => string | null>;
let asked: Asked[];
let open = 0;
let client: ClientHttp2Session;
let running: AsyncDisposableStack;
const whole = new AsyncDisposableStack();

beforeAll(async () => {
  lab = await openNamesLab(whole);
  const service = startService();
  port = (await lab.agent.add(site("end", [NAME], service, { tls: "end" }))).endpoints[0]?.port ?? 0;
});
afterAll(() => whole.disposeAsync());
beforeEach(() => {
  running = new AsyncDisposableStack();
  asked = [];
  answers = {};
  client = connect(`https://${HERE}:${port}`, { ca: lab.ca, servername: NAME });
  running.defer(() => client.destroy());
});
afterEach(async () => {
  await running.disposeAsync();
  // Whoever leaves takes its connections along.
  await until(() => open === 0);
});

/** It reads heads only where they begin a piece: content counts as read when it is there. */
function startService(): number {
  let connections = 0;
  const listener = Bun.listen<Peer>({
    hostname: HERE,
    port: 0,
    socket: {
      open(socket) {
        socket.data = { id: connections, heard: "" };
        connections += 1;
        open += 1;
      },
      data(socket, bytes) {
        const peer = socket.data;
        peer.heard += bytes.toString("latin1");
        for (;;) {
          const end = peer.heard.indexOf("\r\n\r\n");
          if (end < 0) return;
          const head = peer.heard.slice(0, end);
          const content = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
          const [line = ""] = head.split("\r\n");
          const path = line.split(" ")[1] ?? "";
          if (path !== "/early" && peer.heard.length < end + 4 + content) return;
          peer.heard = peer.heard.slice(end + 4 + content);
          asked.push({ connection: peer.id, line });
          const answer = (answers[path] ?? (() => OK))(socket);
          if (answer === null) socket.end();
          else socket.write(Buffer.from(answer, "latin1"));
        }
      },
      end: (socket) => void socket.end(),
      close: () => {
        open -= 1;
      },
      error: () => undefined,
    },
  });
  whole.defer(() => listener.stop(true));
  return listener.port;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}
async function get(path: string, headers: IncomingHttpHeaders = {}, content?: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { endStream: content === undefined };
  const stream = client.request({ ":path": path, ":authority": NAME, ...headers }, options);
  let [status, body] = [0, ""];
  stream.on("response", (fields) => {
    status = Number(fields[":status"]);
  });
  stream.on("data", (bytes) => {
    body += String(bytes);
  });
  stream.on("error", reject);
  stream.on("end", () => resolve({ status, body }));
  if (content !== undefined) stream.end(content);
  return promise;
}
const FINE: Answer = { status: 200, body: "ok" };
/** How many connections had the requests that were asked. */
const connections = () => new Set(asked.map(({ connection }) => connection)).size;

const POST = { ":method": "POST" };
const FOLLOWED: [string, string, IncomingHttpHeaders?, string?][] = [
  ["of a length", OK],
  ["in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"],
  ["without content", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["that nothing changed", "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"],
  ["after another one", `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${OK}`],
  ["to a request with content", OK, { ...POST, "content-length": "3" }, "abc"],
];
const NOT_FOLLOWED: typeof FOLLOWED = [
  ["that closes", OK.replace("\r\n\r\n", "\r\nConnection: X, Close\r\n\r\n")],
  ["of HTTP/1.0", OK.replace("1.1", "1.0").replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n")],
  ["to HEAD that announces content", OK.slice(0, -2), { ":method": "HEAD" }],
  ["that nothing changed, of a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"],
  ["with another one behind it", `${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
  ["to content that came with a GET", OK, { "content-length": "3" }, "abc"],
  ["to who expects one before", OK, { ...POST, "content-length": "3", expect: "100-continue" }, "abc"],
];

describe("an answer", () => {
  for (const [name, answer, headers, content] of FOLLOWED) {
    test(`${name}: the connection has the next request`, async () => {
      answers = { "/first": () => answer };
      expect((await get("/first", headers, content)).status).not.toBe(502);
      expect(await get("/next")).toEqual(FINE);
      expect(await get("/last")).toEqual(FINE);
      expect([asked.length, connections()]).toEqual([3, 1]);
    });
  }
  for (const [name, answer, headers, content] of NOT_FOLLOWED) {
    test(`${name}: the next request has another connection`, async () => {
      answers = { "/first": () => answer };
      expect((await get("/first", headers, content)).status).not.toBe(502);
      expect(await get("/next")).toEqual(FINE);
      expect([asked.length, connections()]).toEqual([2, 2]);
    });
  }
});

test("an answer that ends with its connection is whole, and the next request has another one", async () => {
  answers = {
    "/first": (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\nok");
      return null;
    },
  };
  expect(await get("/first")).toEqual(FINE);
  expect(await get("/next")).toEqual(FINE);
  expect(connections()).toBe(2);
});

test("an answer before the end of its request leaves a connection that nobody else has", async () => {
  const asks = client.request({ ":path": "/early", ":authority": NAME, ...POST, "content-length": "1000" });
  asks.on("error", () => undefined);
  asks.write("GET /evil HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise<unknown>((resolve) => asks.on("response", resolve));
  expect(await get("/next")).toEqual(FINE);
  const lines = asked.filter(({ line }) => line.includes("/early") || line.includes("/next"));
  expect(new Set(lines.map(({ connection }) => connection)).size).toBe(2);
});

test("a request that is cancelled takes its connection with it", async () => {
  const began = Promise.withResolvers<void>();
  answers = {
    "/wait": () => {
      began.resolve();
      return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok";
    },
  };
  const asks = client.request({ ":path": "/wait", ":authority": NAME });
  asks.on("error", () => undefined);
  await began.promise;
  asks.close(8);
  await until(() => open === 0);
  expect(await get("/next")).toEqual(FINE);
  expect(connections()).toBe(2);
});

test("bytes that come when nothing is asked are nobody's answer, and end the connection", async () => {
  let late: Socket<Peer> | null = null;
  answers = {
    "/first": (socket) => {
      late = socket;
      return OK;
    },
  };
  expect(await get("/first")).toEqual(FINE);
  (late as Socket<Peer> | null)?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  await until(() => open === 0);
  expect(await get("/next")).toEqual(FINE);
  expect(connections()).toBe(2);
});

describe("a service that closes a connection instead of answering by it", () => {
  test("is asked once more, by a new one, if nothing comes of asking twice", async () => {
    let times = 0;
    answers = { "/once": () => (times++ === 0 ? null : OK) };
    expect(await get("/first")).toEqual(FINE);
    expect(await get("/once")).toEqual(FINE);
    expect([asked.length, connections()]).toEqual([3, 2]);
  });

  const ONCE: [string, number, IncomingHttpHeaders?, string?][] = [
    ["and no third time", 2],
    ["and not again for what changes something", 1, POST, ""],
    ["and not again for what has content", 1, { "content-length": "1" }, "x"],
  ];
  for (const [name, times, headers, content] of ONCE) {
    test(name, async () => {
      answers = { "/never": () => null };
      expect(await get("/first")).toEqual(FINE);
      expect((await get("/never", headers, content)).status).toBe(502);
      expect(asked.filter(({ line }) => line.includes("/never"))).toHaveLength(times);
    });
  }

  test("and not again when the connection is new, or it began to answer", async () => {
    const half = (socket: Socket<Peer>) => {
      socket.write("HTTP/1.1 2");
      return null;
    };
    answers = { "/never": () => null, "/half": half };
    expect((await get("/never")).status).toBe(502);
    expect(await get("/next")).toEqual(FINE);
    expect((await get("/half")).status).toBe(502);
    expect(asked).toHaveLength(3);
  });
});

test("a visitor has connections of its own", async () => {
  expect(await get("/mine")).toEqual(FINE);
  const first = client;
  client = connect(`https://${HERE}:${port}`, { ca: lab.ca, servername: NAME });
  running.defer(() => first.destroy());
  expect(await get("/yours")).toEqual(FINE);
  client.destroy();
  expect(connections()).toBe(2);
});

test("as many connections as requests at once, and no more afterwards", async () => {
  const round = () => Promise.all(Array.from({ length: 8 }, (_, at) => get(`/${at}`)));
  for (let turn = 0; turn < 5; turn++) expect(await round()).toEqual(Array.from({ length: 8 }, () => FINE));
  expect([asked.length, connections() <= 8]).toEqual([40, true]);
});

describe("a visitor who takes its answer slowly", () => {
  /** Opens no window by itself. */
  async function slowVisitor() {
    const slow = await RawH2.open(port, NAME, lab.ca, setting(SETTING.windowBytes, 0));
    running.defer(() => slow.close());
    const first = (kind: "headers" | "data", id: number, flags = 0) =>
      slow.frame((heard) => heard.kind === kind && heard.stream === id && (heard.flags & flags) === flags);
    const opens = (id: number, bytes: number) => slow.send(frame("window", 0, id, u32(bytes)));
    return {
      slow,
      opens,
      begun: (id: number) => first("headers", id),
      ended: (id: number) => first("data", id, FLAG.endStream),
    };
  }

  test("has its next request by the same connection, if the answer is whole", async () => {
    const { slow, opens, begun, ended } = await slowVisitor();
    for (const id of [1, 3]) {
      slow.send(request(id, NAME));
      expect(await begun(id)).not.toBeNull();
    }
    for (const id of [3, 1]) {
      opens(id, 10);
      expect(await ended(id)).not.toBeNull();
    }
    expect([asked.length, connections()]).toEqual([2, 1]);
  });

  test("holds its service up, and the connection is as good as before when it has taken all", async () => {
    const { slow, opens, begun, ended } = await slowVisitor();
    answers = {
      "/large": (socket) => {
        let left = LARGE_BYTES;
        const pour = () => {
          for (let sent = 1; left > 0 && sent > 0; left -= sent) {
            sent = Math.max(0, socket.write(Buffer.alloc(Math.min(left, 65_536), "x")));
          }
          if (left > 0) setImmediate(pour);
        };
        setImmediate(pour);
        return `HTTP/1.1 200 OK\r\nContent-Length: ${LARGE_BYTES}\r\n\r\n`;
      },
    };
    slow.send(request(1, NAME, "/large"));
    expect(await begun(1)).not.toBeNull();
    for (const id of [0, 1]) opens(id, 2 * LARGE_BYTES);
    expect(await ended(1)).not.toBeNull();
    slow.send(request(3, NAME));
    opens(3, 10);
    expect(await ended(3)).not.toBeNull();
    const heard = slow.heard.filter(({ kind, stream }) => kind === "data" && stream === 1);
    expect(heard.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(LARGE_BYTES);
    expect([asked.length, connections()]).toEqual([2, 1]);
  });
});
