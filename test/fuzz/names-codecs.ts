import { H2Conduct } from "../../src/core/names/h2-conduct.ts";
import { judgeRequest, siteOfRequest } from "../../src/core/names/request.ts";
import { BodyReader, type Framing, requestFraming } from "../../src/wire/http1/body.ts";
import {
  checkRequestHead,
  encodeRequestHead,
  HeadReader,
  parseRequestHead,
  parseResponseHead,
} from "../../src/wire/http1/head.ts";
import { encodeFrameHead, type FrameHead, FrameReader, PREFACE } from "../../src/wire/http2/frames.ts";
import { parseSitePattern, siteOfAuthority } from "../../src/wire/site-name.ts";
import { clientHello, record } from "../../src/wire/tls/client-hello.fixture.ts";
import { ClientHelloReader } from "../../src/wire/tls/client-hello.ts";
import { type FuzzCodec, latin1, must, mustBeResult, mustEqual, streamCodec, text, textCodec } from "./codec.ts";

const ASKER = { address: "203.0.113.9", scheme: "https" } as const;
const LONG: FrameHead = { type: 1, flags: 0, stream: 5, payloadBytes: 0xff_ffff };
const FRAMES = Buffer.concat([
  PREFACE,
  encodeFrameHead({ type: 4, flags: 0, stream: 0, payloadBytes: 6 }),
  Buffer.alloc(6),
  encodeFrameHead({ type: 1, flags: 5, stream: 1, payloadBytes: 3 }),
  Buffer.alloc(3),
  encodeFrameHead({ type: 9, flags: 4, stream: 1, payloadBytes: 0 }),
]);
const CHUNKED: Framing = { kind: "chunked" };

export const names: readonly FuzzCodec[] = [
  textCodec({
    name: "site-name",
    seeds: text("app.example.org", "*.Example.org.", "xn--bcher-kva.example", "a.1", "192.0.2.1", "a..b"),
    parse: parseSitePattern,
    print: (pattern) => pattern,
  }),
  streamCodec({
    name: "client-hello",
    seeds: [
      clientHello("app.example.org", ["h2", "http/1.1"]),
      clientHello(null, []),
      clientHello("a.example.org", [], "b.example.org"),
      record(Uint8Array.of(1)),
      ...latin1("GET / HTTP/1.1\r\n"),
    ],
    feed(chunks) {
      const reader = new ClientHelloReader();
      for (const chunk of chunks) {
        const hello = reader.feed(chunk);
        if (hello === null) continue;
        mustBeResult(hello);
        if (!hello.ok) return { accepted: false, outcome: hello.error };
        const { serverName } = hello.value;
        must(serverName === null || siteOfAuthority(serverName) === serverName, "a name is in its one form");
        return { accepted: true, outcome: hello.value };
      }
      return { accepted: false, outcome: null };
    },
  }),
  streamCodec({
    name: "http1-request",
    seeds: latin1(
      "GET /a?b HTTP/1.1\r\nHost: app.example.org:443\r\nCookie: a=b\r\n\r\nrest",
      "POST http://app.example.org/ HTTP/1.1\r\nHost: APP.example.org.\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a.b\r\nHost: c.d\r\nConnection: upgrade, x-forwarded-for\r\nUpgrade: h2c\r\n\r\n",
      "OPTIONS * HTTP/1.0\r\nX_Forwarded_For: 1\r\nhost:a.b\r\n\r\n",
    ),
    feed(chunks) {
      const reader = new HeadReader();
      for (const [index, chunk] of chunks.entries()) {
        const read = reader.feed(chunk);
        if (read === null) continue;
        if (!read.ok) return { accepted: false, outcome: read.error };
        const rest = Buffer.concat([read.value.rest, ...chunks.slice(index + 1)]).toString("hex");
        return { accepted: judges(read.value.head), outcome: { head: read.value.head, rest } };
      }
      return { accepted: false, outcome: null };
    },
  }),
  streamCodec({
    name: "http1-chunks",
    seeds: latin1(
      "3;x=y\r\nabc\r\n0\r\nDigest: x\r\n\r\nGET / HTTP/1.1\r\n",
      "A\r\n0123456789\r\n0\r\n\r\n",
      "0\r\n\r\n",
      "1\nabc",
    ),
    feed(chunks) {
      const body = new BodyReader(CHUNKED);
      let [taken, content] = [0, ""];
      for (const chunk of chunks) {
        const fed = body.feed(chunk, (part) => {
          content += Buffer.from(part).toString("hex");
        });
        if (!fed.ok) return { accepted: false, outcome: { content } };
        taken += fed.value;
      }
      return { accepted: body.isDone, outcome: { taken, content, done: body.isDone } };
    },
  }),
  streamCodec({
    name: "http2-frames",
    seeds: [FRAMES, FRAMES.subarray(0, 40), Buffer.concat([FRAMES, encodeFrameHead(LONG)])],
    feed(chunks) {
      const reader = new FrameReader();
      const conduct = new H2Conduct(0);
      const heads: FrameHead[] = [];
      for (const chunk of chunks) {
        const goesOn = reader.feed(chunk, (head) => {
          heads.push(head);
          return conduct.frame(head, 0) === null;
        });
        if (!goesOn) return { accepted: false, outcome: heads };
      }
      const again: FrameHead[] = [];
      for (const head of heads) {
        const bytes = Buffer.concat([PREFACE, encodeFrameHead(head)]);
        must(
          new FrameReader().feed(bytes, (one) => again.push(one) > 0),
          "what is written is read",
        );
      }
      mustEqual(again, heads, "its heads");
      return { accepted: heads.length > 0, outcome: heads };
    },
  }),
  {
    name: "http1-response",
    seeds: latin1("HTTP/1.1 200 OK\r\nContent-Length: 3", "HTTP/1.0 404", "HTTP/1.1 101 Switching\r\nUpgrade: x"),
    check: (input) => parseResponseHead(Buffer.from(input).toString("latin1")).ok,
  },
];

/** What is handed on is read as one request for the same site, and says of the visitor what the relay knows. */
function judges(text: string): boolean {
  const head = parseRequestHead(text);
  if (!head.ok) return false;
  const inParts = checkRequestHead(head.value);
  // Written anew it may be longer, by the blanks behind colons.
  if (inParts.ok || inParts.error !== "too-long") mustEqual(inParts, head, "the same head in parts");
  const site = siteOfRequest(head.value);
  if (!site.ok) return false;
  const judged = judgeRequest(head.value, site.value, ASKER, false);
  if (!judged.ok) return false;
  const again = new HeadReader().feed(encodeRequestHead(judged.value.head));
  must(again?.ok === true && again.value.rest.length === 0, "one head and nothing behind it");
  const parsed = parseRequestHead(again.value.head);
  must(parsed.ok, "what is written is read");
  mustEqual(siteOfRequest(parsed.value), site, "the site of what is handed on");
  mustEqual(requestFraming(parsed.value), { ok: true, value: judged.value.framing }, "its length");
  const forwarded = parsed.value.fields.filter(({ name }) => /^x[-_]forwarded[-_]for$/i.test(name));
  mustEqual(forwarded, [{ name: "X-Forwarded-For", value: ASKER.address }], "who asks");
  return true;
}
