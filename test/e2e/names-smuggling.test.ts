import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ask, curl, talk } from "../fixtures/names-client.ts";
import { type NamesLab, openNamesLab, site } from "../fixtures/names-lab.ts";
import { until } from "../fixtures/roles-lab.ts";

/**
 * Requests that two programs could read differently, as bytes on the wire: what comes to the service is what the relay
 * judged, byte by byte, or nothing.
 */
const HERE = "127.0.0.1";
const HOST = "Host: one.example.org\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

let running: AsyncDisposableStack;
let lab: NamesLab;
let port: number;
let secure: number;
/** All bytes that came to the service since the test began, by connection. */
let came: string[];

/** How many whole requests there are; one that expects something is answered by its head. */
function endsOf(text: string): number {
  const head = /^[\s\S]*?\r\n\r\n/.exec(text)?.[0];
  if (head === undefined) return 0;
  const rest = text.slice(head.length);
  const length = Number(/Content-Length: (\d+)/i.exec(head)?.[1] ?? 0);
  const chunks = /chunked/i.test(head) ? /^[\s\S]*?0\r\n\r\n/.exec(rest)?.[0] : "";
  if (/expect:/i.test(head)) return 1;
  if (chunks === undefined || rest.length < length) return 0;
  return 1 + endsOf(rest.slice(chunks.length + length));
}

beforeAll(async () => {
  running = new AsyncDisposableStack();
  lab = await openNamesLab(running);
  const server = Bun.listen<{ at: number; answered: number }>({
    hostname: HERE,
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { at: came.push("") - 1, answered: 0 };
      },
      data: (socket, bytes) => {
        came[socket.data.at] += bytes.toString("latin1");
        for (let ends = endsOf(came[socket.data.at] ?? ""); socket.data.answered < ends; socket.data.answered++)
          socket.write(OK);
      },
    },
  });
  running.defer(() => server.stop(true));
  const open = async (id: string, tls: "off" | "end") =>
    (await lab.agent.add(site(id, [`${id}.example.org`], server.port, { tls }))).endpoints[0]?.port ?? 0;
  port = await open("one", "off");
  await open("two", "off");
  secure = await open("end", "end");
});
afterAll(() => running.disposeAsync());
beforeEach(() => {
  came = [];
});

/** [what, the bytes, the statuses of all answers, what came to the service without the fields that the relay adds] */
const post = (fields: string, content = "", version = "1.1") =>
  `POST / HTTP/${version}\r\n${HOST}${fields}\r\n${content}`;
const SMUGGLED = "GET /admin HTTP/1.1\r\nHost: two.example.org\r\n\r\n";
const REFUSED: [string, string, number?][] = [
  ["two lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ok")],
  ["two lengths that differ", post(`Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n`, SMUGGLED)],
  ["a list of lengths", post("Content-Length: 2, 2\r\n", "ok")],
  ["a length with a sign", post("Content-Length: +2\r\n", "ok")],
  ["a length in hex", post("Content-Length: 0x2\r\n", "ok")],
  ["a length with a tail", post("Content-Length: 2 2\r\n", "ok")],
  ["a length beyond all", post("Content-Length: 18446744073709551617\r\n", "o")],
  ["CL and TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${SMUGGLED}`)],
  ["TE and CL", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "1\r\nx\r\n0\r\n\r\n")],
  ["TE of HTTP/1.0", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "1.0")],
  ["TE twice", post("Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n", "0\r\n\r\n")],
  ["TE in a list", post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n")],
  ["TE with a letter more", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")],
  ["TE with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n")],
  ["TE behind a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n")],
  ["TE in quotes", post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n")],
  ["a blank before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")],
  ["a tab before the colon", post("Content-Length\t: 2\r\n", "ok")],
  ["a blank before the name", post(" Transfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["a folded line", post("X: y\r\n Content-Length: 2\r\n", "ok")],
  ["a bare LF behind a field", post("X: y\nContent-Length: 2\r\n", "ok")],
  ["a bare CR in a field", post("X: y\rContent-Length: 2\r\n", "ok")],
  ["a null byte in a name", post("X\0: y\r\n")],
  ["a null byte in a value", post("X: y\0z\r\n")],
  ["no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"],
  ["two Hosts", `GET / HTTP/1.1\r\n${HOST}Host: two.example.org\r\n\r\n`],
  ["a Host behind a blank", `GET / HTTP/1.1\r\n${HOST} Host: two.example.org\r\n\r\n`],
  ["a target of another site", `GET http://two.example.org/ HTTP/1.1\r\n${HOST}\r\n`, 421],
  ["a target with a user", `GET http://one.example.org@two.example.org/ HTTP/1.1\r\n${HOST}\r\n`, 421],
  ["a tunnel", `CONNECT two.example.org:80 HTTP/1.1\r\n${HOST}\r\n`, 405],
  ["two blanks in the first line", `GET /  HTTP/1.1\r\n${HOST}\r\n`],
  ["a line before the first", `\r\nGET / HTTP/1.1\r\n${HOST}\r\n`],
  ["HTTP/2 in the clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["an expectation nobody knows", post("Expect: 200-ok\r\nContent-Length: 2\r\n", "ok"), 417],
  ["two expectations", post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 2\r\n", "ok"), 417],
  ["a length that its connection takes out", post("Connection: Content-Length\r\nContent-Length: 2\r\n", "ok")],
  ["a password that its connection takes out", post("Connection: Authorization\r\nAuthorization: Basic eDp5\r\n")],
];
describe("never comes to the service:", () => {
  for (const [what, bytes, status = 400] of REFUSED) {
    test(`${what} (${status})`, async () => {
      const answers = await talk(port, bytes + SMUGGLED);
      expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
      expect(came).toEqual([]);
    });
  }
});

const CUT: [string, string][] = [
  ["a chunk that ends in LF", "2\nok\r\n0\r\n\r\n"],
  ["a chunk of a negative size", "-2\r\nok\r\n0\r\n\r\n"],
  ["a chunk's size beyond all", "fffffffffffffffff\r\nok"],
  ["a chunk that is longer than it says", "1\r\nok\r\n0\r\n\r\n"],
  ["an extension with a LF in it", "2;a\nb\r\nok\r\n0\r\n\r\n"],
  ["an extension without end", `2;${"a".repeat(5_000)}`],
  ["a blank before the size", " 2\r\nok\r\n0\r\n\r\n"],
  ["a field behind the chunks that is none", "0\r\nGET /admin HTTP/1.1\r\n\r\n"],
];
describe("comes to the service without an end, and its connection ends:", () => {
  for (const [what, content] of CUT) {
    test(what, async () => {
      const answers = await talk(port, post("Transfer-Encoding: chunked\r\n", content) + SMUGGLED);
      expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 502"]);
      expect(came.join("")).not.toContain("admin");
      expect(came.join("")).not.toMatch(/0\r\n\r\n$/);
    });
  }
});

/** [what, the bytes, all that comes to the service] */
const ADDED = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: one.example.org\r\n";
const out = (first: string, fields: string, content = "") => `${first}\r\n${HOST}${fields}${ADDED}\r\n${content}`;
const WRITTEN: [string, string, string][] = [
  [
    "a length in one form",
    post("X: y\r\nCONTENT-LENGTH:  002 \r\n", "ok"),
    out("POST / HTTP/1.1", "X: y\r\nContent-Length: 2\r\n", "ok"),
  ],
  [
    "chunks without extensions, and nothing behind them",
    post(
      "Transfer-Encoding: Chunked\r\nTrailer: X-Forwarded-For\r\n",
      "002;a=b \r\nok\r\n0;c\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
    ),
    out("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
  ],
  [
    "nothing that a visitor says of itself",
    `GET / HTTP/1.1\r\n${HOST}X-Forwarded-For: 10.0.0.1\r\nX_Forwarded_Proto: https\r\nForwarded: for=10.0.0.1\r\nX-Real-Ip: 10.0.0.1\r\nCF-Connecting-IP: 10.0.0.1\r\nX-Forwarded: 1\r\n\r\n`,
    out("GET / HTTP/1.1", ""),
  ],
  [
    "what its connection names is not taken out of what the relay says",
    `GET / HTTP/1.1\r\n${HOST}Connection: X-Forwarded-For, X-Forwarded-Host, X-Own\r\nX-Own: 1\r\nX: y\r\n\r\n`,
    out("GET / HTTP/1.1", "X: y\r\n"),
  ],
  [
    "no length that is spelled for another program",
    `GET / HTTP/1.1\r\n${HOST}Content_Length: 30\r\nTransfer_Encoding: chunked\r\nX_Own: 1\r\n\r\n`,
    out("GET / HTTP/1.1", "X_Own: 1\r\n"),
  ],
  [
    "a password that is the service's",
    `GET / HTTP/1.1\r\n${HOST}Authorization: Bearer x\r\n\r\n`,
    out("GET / HTTP/1.1", "Authorization: Bearer x\r\n"),
  ],
  ["a whole target as a path", `GET http://ONE.example.org./a?b HTTP/1.1\r\n${HOST}\r\n`, out("GET /a?b HTTP/1.1", "")],
];
describe("the service gets", () => {
  for (const [what, bytes, whole] of WRITTEN) {
    test(what, async () => {
      const answers = talk(port, `${bytes}GET / HTTP/1.1\r\nHost: two.example.org\r\n\r\n`);
      expect((await answers).match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 421"]);
      expect(came).toEqual([whole]);
    });
  }
});

test("one connection after another name, and after its own: each request is judged anew", async () => {
  const text = await talk(
    port,
    `GET /a HTTP/1.1\r\n${HOST}\r\nGET /b HTTP/1.1\r\n${HOST}\r\n${SMUGGLED}GET /c HTTP/1.1\r\n${HOST}\r\n`,
  );
  expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(["200", "200", "421"]);
  expect(came).toHaveLength(1);
  expect(came[0]).not.toContain("admin");
});

describe("HEAD is answered without content", () => {
  const CASES: [string, string, number][] = [
    ["a name that is nobody's", "HEAD / HTTP/1.1\r\nHost: nobody.example.org\r\n\r\n", 404],
    ["a site by HTTPS", "HEAD / HTTP/1.1\r\nHost: end.example.org\r\n\r\n", 308],
    ["a wrong target", `HEAD http://two.example.org/ HTTP/1.1\r\n${HOST}\r\n`, 421],
  ];
  for (const [what, bytes, status] of CASES) {
    test(what, async () => {
      const told = await ask(port, bytes);
      expect([told.status, told.body]).toEqual([status, ""]);
      expect(told.head).toMatch(/Content-Length: [1-9]/);
    });
  }

  test("by HTTP/2, and on a connection that had an answer", async () => {
    const h2 = await curl(secure, "end.example.org", {
      caFile: lab.caFile,
      args: ["--http2", "-I", "-H", "Host: two.example.org"],
    });
    expect([h2.exit, h2.status]).toEqual([0, 421]);
    const text = await talk(port, `GET / HTTP/1.1\r\n${HOST}\r\nHEAD / HTTP/1.1\r\nHost: two.example.org\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 200[\s\S]*okHTTP\/1\.1 421[\s\S]*\r\n\r\n$/);
  });
});

test("a redirect leads to the site's own name and nowhere else", async () => {
  const located = async (bytes: string) => /Location: (.*)\r\n/.exec(`${(await ask(port, bytes)).head}\r\n`)?.[1];
  const own = `https://end.example.org:${secure}`;
  const CASES: [string, string | undefined][] = [
    ["GET //evil.example.net/a HTTP/1.1\r\nHost: END.example.org:99\r\n\r\n", `${own}//evil.example.net/a`],
    ["GET /\\evil.example.net HTTP/1.1\r\nHost: end.example.org.\r\n\r\n", `${own}/\\evil.example.net`],
    ["GET http://end.example.org/a?b#c HTTP/1.1\r\nHost: end.example.org\r\n\r\n", `${own}/a?b`],
    ["OPTIONS * HTTP/1.1\r\nHost: end.example.org\r\n\r\n", `${own}/`],
    ["GET / HTTP/1.1\r\nHost: evil.example.net\r\n\r\n", undefined],
    ["GET / HTTP/1.1\r\nHost: end.example.org@evil.example.net\r\n\r\n", undefined],
    ["GET http://evil.example.net/ HTTP/1.1\r\nHost: end.example.org\r\n\r\n", undefined],
  ];
  for (const [bytes, location] of CASES) expect([bytes, await located(bytes)]).toEqual([bytes, location]);
});

test("an early answer ends the connection, and what is left of the request is nobody's", async () => {
  const text = await talk(port, post("Expect: 100-continue\r\nContent-Length: 100\r\n") + SMUGGLED);
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200"]);
  await until(() => came.length === 1);
  expect(came[0]?.split("\r\n\r\n")[0]).toContain("Expect: 100-continue");
});
