import { describe, expect, test } from "bun:test";
import { CONTROL_REPLY_SAMPLES } from "../../../test/fixtures/igd/routers.ts";
import { encodeHttpRequest, type HttpReplyError, MAX_REPLY_HEAD_BYTES, newHttpReplyReader } from "./http-reply.ts";
import { decodeSoapReply } from "./soap.ts";

const MAX_BODY_BYTES = 100;
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const text = (value: Uint8Array): string => Buffer.from(value).toString("latin1");
const newReader = () => newHttpReplyReader({ maxBodyBytes: MAX_BODY_BYTES });

interface Expected {
  readonly status: number;
  /** As its framing says; null = only the end of the connection tells. */
  readonly framed: string | null;
  /** At the end of the connection. */
  readonly atEnd: string;
}

const reply = (headers: string, body: string, status = "200 OK"): string =>
  `HTTP/1.1 ${status}\r\n${headers === "" ? "" : `${headers}\r\n`}\r\n${body}`;
const CHUNKED = "Transfer-Encoding: chunked";

const REPLIES: readonly (readonly [name: string, input: string, expected: Expected])[] = [
  ["of known length", reply("Content-Length: 3", "abc"), { status: 200, framed: "abc", atEnd: "abc" }],
  ["an error", reply("Content-Length: 0", "", "404 Not Found"), { status: 404, framed: "", atEnd: "" }],
  ["no reason", "HTTP/1.0 200\r\n\r\nabc", { status: 200, framed: null, atEnd: "abc" }],
  [
    "bare LF, no blank behind the colon",
    "HTTP/1.1 200 OK\nCONTENT-LENGTH:3\n\nabc",
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
  ["empty lines before it", `\r\n\r\n${reply("", "abc")}`, { status: 200, framed: null, atEnd: "abc" }],
  ["until the end", reply("Connection: close", "abc"), { status: 200, framed: null, atEnd: "abc" }],
  ["shorter than it says", reply("Content-Length: 9", "abc"), { status: 200, framed: null, atEnd: "abc" }],
  ["longer than it says", reply("Content-Length: 2", "abc"), { status: 200, framed: "ab", atEnd: "abc" }],
  ["a length that is none", reply("Content-Length: x", "abc"), { status: 200, framed: null, atEnd: "abc" }],
  ["two lengths", reply("Content-Length: 3\r\nContent-Length: 3", "abc"), { status: 200, framed: null, atEnd: "abc" }],
  [
    "lines that are no headers",
    reply("what\r\n: x\r\n b: c\r\nd\u0001: e\r\nContent-Length: 3", "abc"),
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
  ["chunks", reply(CHUNKED, "2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"), { status: 200, framed: "abc", atEnd: "abc" }],
  [
    "chunks with trailers, and a size with blanks",
    reply(CHUNKED, "3  \r\nabc\r\n0\r\nA: b\r\n\r\n"),
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
  [
    "chunks, and more behind their end",
    reply(CHUNKED, "3\r\nabc\r\n0\r\n\r\nmore\r\n\u0001\r\n"),
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
  ["chunks without their end", reply(CHUNKED, "3\r\nabc\r\n"), { status: 200, framed: null, atEnd: "abc" }],
  ["a chunk that is cut", reply(CHUNKED, "1\r\na\r\n9\r\nbc"), { status: 200, framed: null, atEnd: "abc" }],
  [
    "chunks and a length",
    reply(`Content-Length: 1\r\n${CHUNKED}`, "3\r\nabc\r\n0\r\n\r\n"),
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
  [
    "another encoding",
    reply("Transfer-Encoding: identity\r\nContent-Length: 3", "abc"),
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
  ["nothing", reply("", "", "204 No Content"), { status: 204, framed: "", atEnd: "" }],
  [
    "100 Continue before it",
    `HTTP/1.1 100 Continue\r\n\r\n${reply("Content-Length: 3", "abc")}`,
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
  [
    "two interim replies",
    `HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${reply("Content-Length: 3", "abc")}`,
    { status: 200, framed: "abc", atEnd: "abc" },
  ],
];

/** The first reply by its framing, and the one at the end. */
function readAll(chunks: readonly string[]) {
  const reader = newReader();
  let framed: string | null = null;
  for (const chunk of chunks) {
    const read = reader.push(bytes(chunk));
    if (!read.ok) throw new Error(read.error.kind);
    if (read.value !== null) framed ??= text(read.value.body);
  }
  const end = reader.end();
  if (!end.ok) throw new Error(end.error.kind);
  return { status: end.value.status, framed, atEnd: text(end.value.body) };
}

describe("a reply", () => {
  test.each(REPLIES)("%s", (_name, input, expected) => {
    expect(readAll([input])).toEqual(expected);
  });

  test.each(REPLIES)("%s, one byte at a time", (_name, input, expected) => {
    expect(readAll([...input])).toEqual(expected);
  });

  test.each(REPLIES)("%s, cut at every byte, is one as soon as the head is there", (_name, input, { status }) => {
    for (let length = 0; length < input.length; length++) {
      const reader = newReader();
      const pushed = reader.push(bytes(input.slice(0, length)));
      if (!pushed.ok) throw new Error(`refused at byte ${length}`);
      const end = reader.end();
      if (end.ok) expect(end.value.status).toBe(status);
      else expect(end.error).toEqual({ kind: "truncated" });
    }
  });

  const over = "a".repeat(MAX_BODY_BYTES + 1);
  const refused: readonly (readonly [name: string, input: string, kind: HttpReplyError["kind"]])[] = [
    ["no HTTP", "SSH-2.0-OpenSSH_9\r\n", "not-http"],
    ["a request", "GET / HTTP/1.1\r\n\r\n", "not-http"],
    ["no status", "HTTP/1.1 OK\r\n\r\n", "not-http"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "not-http"],
    ["a control character in the first line", "HTTP/1.1 200 \u0007\r\n\r\n", "not-http"],
    ["an endless line", `HTTP/1.1 200 ${"a".repeat(MAX_REPLY_HEAD_BYTES)}`, "head-too-long"],
    ["an endless head", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(2000)}`, "head-too-long"],
    ["endless interim replies", "HTTP/1.1 100 Continue\r\n\r\n".repeat(400), "head-too-long"],
    ["a length over the limit", reply(`Content-Length: ${MAX_BODY_BYTES + 1}`, ""), "body-too-long"],
    ["a body over the limit", reply("", over), "body-too-long"],
    ["a body over the limit behind its length", reply("Content-Length: 1", over), "body-too-long"],
    ["a chunk over the limit", reply(CHUNKED, "65\r\n"), "body-too-long"],
    ["chunks over the limit", reply(CHUNKED, `64\r\n${"a".repeat(100)}\r\n1\r\n`), "body-too-long"],
    [
      "endless small chunks",
      reply(CHUNKED, `${"1\r\na\r\n".repeat(99)}0\r\n${"t: v\r\n".repeat(200)}`),
      "body-too-long",
    ],
    ["a chunk size that is none", reply(CHUNKED, "<?xml\r\n"), "chunk"],
    ["a chunk longer than it says", reply(CHUNKED, "1\r\nab\r\n"), "chunk"],
    ["an endless chunk line", reply(CHUNKED, `1;${"a".repeat(300)}`), "chunk"],
  ];
  test.each(refused)("refused: %s", (_name, input, kind) => {
    const whole = newReader();
    expect(whole.push(bytes(input))).toEqual({ ok: false, error: { kind } });
    // And what follows changes nothing.
    expect(whole.push(bytes("\r\n\r\n"))).toEqual({ ok: false, error: { kind } });
    expect(whole.end()).toEqual({ ok: false, error: { kind } });
  });
  test.each(refused)("refused one byte at a time: %s", (_name, input, kind) => {
    const reader = newReader();
    const errors = [...input].map((character) => reader.push(bytes(character))).filter(({ ok }) => !ok);
    expect(errors.at(-1)).toEqual({ ok: false, error: { kind } });
  });

  test("however much comes at once, no more than the limits is kept", () => {
    const reader = newReader();
    expect(reader.push(new Uint8Array(10_000_000).fill(0x61))).toEqual({ ok: false, error: { kind: "head-too-long" } });
  });

  test("names are in lower case, and what stands twice is one", () => {
    const reader = newReader();
    const read = reader.push(bytes(reply("A: 1\r\na: 2\r\nServer: x\r\nContent-Length: 0", "")));
    expect(read.ok && [...(read.value?.headers ?? [])]).toEqual([
      ["a", "1, 2"],
      ["server", "x"],
      ["content-length", "0"],
    ]);
  });
});

describe("replies of people's routers", () => {
  test.each(CONTROL_REPLY_SAMPLES.map((sample) => [sample.name, sample] as const))("%s", (_name, sample) => {
    const reader = newHttpReplyReader({ maxBodyBytes: 8192 });
    reader.push(bytes(sample.reply));
    const read = reader.end();
    if (!read.ok) throw new Error(read.error.kind);
    const decoded = decodeSoapReply(sample.action, read.value.body);
    expect(decoded).toMatchObject({
      ok: true,
      value: sample.code === null ? { kind: "response" } : { kind: "fault", code: sample.code },
    });
  });
});

describe("a request", () => {
  const url = { address: "192.168.1.1", port: 80, path: "/ctl?a=b" };
  test("GET", () => {
    const sent = encodeHttpRequest({ method: "GET", url, headers: [["A", "b"]], body: new Uint8Array(0) });
    expect(text(sent)).toBe("GET /ctl?a=b HTTP/1.1\r\nHost: 192.168.1.1\r\nA: b\r\nConnection: close\r\n\r\n");
  });
  test("POST, over IPv6", () => {
    const sent = encodeHttpRequest({
      method: "POST",
      url: { ...url, address: "fe80::1", port: 5000 },
      headers: [],
      body: bytes("abc"),
    });
    expect(text(sent)).toBe(
      "POST /ctl?a=b HTTP/1.1\r\nHost: [fe80::1]:5000\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    );
  });
});
