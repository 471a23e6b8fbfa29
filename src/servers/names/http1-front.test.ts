import { beforeEach, describe, expect, test } from "bun:test";
import { judgeRequest } from "../../core/names/request.ts";
import { type ByteEnd, type ByteSink, HOLD_BYTES } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { HeadReader, parseRequestHead } from "../../wire/http1/head.ts";
import { Clients } from "../proxy/clients.ts";
import { Http1Front, type JudgeRequest } from "./http1-front.ts";

const HOST = "Host: one.example.org\r\n";
const GET = `GET /a HTTP/1.1\r\n${HOST}\r\n`;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const WORDS = { deviceAway: "503", serviceTimeout: "504", serviceRefused: "502" } as const;

/** What each side was told, in the order of it: `>` to the service, `<` to the visitor. */
let told: string[];
/** How long the pieces were that the visitor was sent. */
let sizes: number[];
let client: ByteEnd;
let front: Http1Front;
const judgeNow: JudgeRequest = (head) =>
  judgeRequest(head, "one.example.org", { address: "203.0.113.9", scheme: "http" }, false);
let judge: JudgeRequest;

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
/** The first line of each head, and other bytes as they are. */
const brief = (text: string) => (/^[A-Z]+ \S+ HTTP|^HTTP/.test(text) ? (text.split("\r\n")[0] ?? "") : text);

beforeEach(() => {
  told = [];
  sizes = [];
  judge = judgeNow;
  client = {
    sink: SILENT_SINK,
    write(bytes) {
      sizes.push(bytes.length);
      const text = latin1(bytes);
      // The content that came with the head of an answer; in words of the relay's own it is no matter.
      const isOfService = text.startsWith("HTTP") && !text.includes("no-store");
      const content = isOfService ? text.slice(text.indexOf("\r\n\r\n") + 4) : "";
      told.push(`< ${brief(text)}`);
      if (content !== "") told.push(`< ${content}`);
      return 0;
    },
    backlog: (queued) => void (queued === HOLD_BYTES && told.push("held")),
    end: () => void told.push("< end"),
    reset: (reason) => void told.push(`< reset ${reason}`),
  };
  const service: ByteSink = {
    onOpen: () => undefined,
    onData: (bytes) => void told.push(`> ${brief(latin1(bytes))}`),
    onDrain: () => undefined,
    onEnd: () => void told.push("> end"),
    onClose: (reason) => void told.push(`> closed ${reason}`),
  };
  const clients = new Clients(startSweeper(AbortSignal.abort()));
  front = new Http1Front(client, clients, (head) => judge(head));
  front.sink = service;
});

function begin(text: string): void {
  const read = new HeadReader().feed(Buffer.from(text, "latin1"));
  if (read?.ok !== true) throw new Error("no head");
  const head = parseRequestHead(read.value.head);
  const first = head.ok ? judgeNow(head.value) : null;
  if (first === null || first instanceof Promise || !first.ok) throw new Error("not judged");
  front.begin(first.value, read.value.rest);
}
const visitor = (text: string) => client.sink.onData(Buffer.from(text, "latin1"));
const service = (text: string) => front.write(Buffer.from(text, "latin1"));

/** What comes of these steps: `>` from the visitor, `<` from the service. */
const CASES: [string, (() => void)[], string[]][] = [
  [
    "the next request waits for the answer of the one before",
    [() => begin(GET + GET.replace("/a", "/b")), () => service(OK), () => service(OK)],
    ["> GET /a HTTP/1.1", "held", "< HTTP/1.1 200 OK", "< ok", "> GET /b HTTP/1.1", "< HTTP/1.1 200 OK", "< ok"],
  ],
  [
    "an answer in pieces",
    [() => begin(GET), ...[...OK].map((letter) => () => void service(letter))],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 200 OK", "< o", "< k"],
  ],
  [
    "100 Continue goes before",
    [
      () => begin(`POST /a HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`),
      () => service("HTTP/1.1 100 Continue\r\n\r\n"),
      () => visitor("hi"),
      () => service(OK),
    ],
    ["> POST /a HTTP/1.1", "< HTTP/1.1 100 Continue", "> hi", "< HTTP/1.1 200 OK", "< ok"],
  ],
  [
    "what another request is hidden in is no content of the first",
    [
      () =>
        begin(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: two.example.org\r\n\r\n`),
    ],
    ["> POST /a HTTP/1.1", "> hi", "held"],
  ],
  [
    "an answer that nobody asked for ends it",
    [() => begin(GET), () => service(OK + OK)],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 200 OK", "< ok", "< reset protocolError", "> closed protocolError"],
  ],
  [
    "a switch that nobody asked for is no answer",
    [() => begin(GET), () => service("HTTP/1.1 101 Switching\r\n\r\n")],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 502 Bad Gateway", "< end", "> closed protocolError"],
  ],
  [
    "an answer with two lengths is none",
    [() => begin(GET), () => service("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n")],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 502 Bad Gateway", "< end", "> closed protocolError"],
  ],
  [
    "an answer before the request's end ends the connection",
    [() => begin(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nhi`), () => service(OK), () => visitor("GET /b")],
    ["> POST /a HTTP/1.1", "> hi", "< HTTP/1.1 200 OK", "< ok", "< end", "> end"],
  ],
  [
    "until the end of the connection",
    [() => begin(GET), () => service("HTTP/1.0 200 OK\r\n\r\nab"), () => service("c"), () => front.end()],
    ["> GET /a HTTP/1.1", "< HTTP/1.0 200 OK", "< ab", "< c", "< end"],
  ],
  [
    "an answer that is cut off is no whole one",
    [() => begin(GET), () => service("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), () => front.end()],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 200 OK", "< ab", "< reset reset", "> closed reset"],
  ],
  [
    "chunks that are none end it, and the service gets no end of them",
    [() => begin(`POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\nhi`)],
    ["> POST /a HTTP/1.1", "< HTTP/1.1 502 Bad Gateway", "< end", "> closed protocolError"],
  ],
  [
    "a wish to close is kept to",
    [() => begin(`GET /a HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`), () => service(OK)],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 200 OK", "< ok", "< end", "> end"],
  ],
  [
    "the service's wish too",
    [() => begin(GET), () => service(OK.replace("\r\n", "\r\nConnection: close\r\n"))],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 200 OK", "< ok", "< end", "> end"],
  ],
  [
    "after a switch both sides' bytes pass as they are",
    [
      () => begin(`GET /a HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: chat\r\n\r\nearly`),
      () => service("HTTP/1.1 101 Switching\r\nUpgrade: chat\r\n\r\nhello"),
      () => visitor("\0\n"),
      () => client.sink.onEnd(),
    ],
    ["> GET /a HTTP/1.1", "held", "< HTTP/1.1 101 Switching", "> early", "< hello", "> \0\n", "> end"],
  ],
  [
    "a request whose content stands still is waited for no longer",
    [
      () => begin(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nhi`),
      () => front.expired(),
      () => visitor("late"),
    ],
    ["> POST /a HTTP/1.1", "> hi", "< HTTP/1.1 408 Request Timeout", "< end", "> closed idle"],
  ],
  [
    "but not where the service does not take it, or answers already",
    [
      () => begin(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nhi`),
      () => front.backlog(1),
      () => front.expired(),
      () => front.backlog(0),
      () => service("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
      () => front.expired(),
    ],
    ["> POST /a HTTP/1.1", "> hi", "< HTTP/1.1 200 OK"],
  ],
  [
    "a HEAD that is refused has no content either",
    [() => begin(GET.replace("GET", "HEAD")), () => front.reset("serviceRefused")],
    ["> HEAD /a HTTP/1.1", "< HTTP/1.1 502 Bad Gateway", "< end", "> closed serviceRefused"],
  ],
  [
    "HEAD has no content",
    [
      () => begin(GET.replace("GET", "HEAD")),
      () => service("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
      () => visitor(GET),
    ],
    ["> HEAD /a HTTP/1.1", "< HTTP/1.1 200 OK", "> GET /a HTTP/1.1"],
  ],
  [
    "a visitor who half-closes gets its answer",
    [() => begin(GET), () => client.sink.onEnd(), () => service(OK)],
    ["> GET /a HTTP/1.1", "< HTTP/1.1 200 OK", "< ok", "> end"],
  ],
];
test("an answer that comes at once is sent at once, and a large one is not copied for it", () => {
  begin(GET);
  service(OK);
  visitor(GET);
  const large = "x".repeat(16_384);
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`;
  service(`${head}${large}`);
  expect(sizes).toEqual([OK.length, head.length, large.length]);
});

for (const [name, steps, outcome] of CASES) {
  test(name, () => {
    for (const step of steps) step();
    expect(told).toEqual(outcome);
  });
}

describe("a service that does not answer is told of in words", () => {
  for (const [reason, status] of Object.entries(WORDS)) {
    test(`${reason}: ${status}`, () => {
      begin(GET);
      front.reset(reason as keyof typeof WORDS);
      expect(told[1]).toContain(`HTTP/1.1 ${status}`);
      expect(told.slice(2)).toEqual(["< end", `> closed ${reason}`]);
    });
  }

  test("but not in the middle of an answer", () => {
    begin(GET);
    service("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    front.reset("carrierLost");
    expect(told.slice(2)).toEqual(["< reset carrierLost", "> closed carrierLost"]);
  });
});

test("a request whose password takes a while is neither overtaken nor forgotten", async () => {
  begin(GET);
  service(OK);
  const checked = Promise.withResolvers<void>();
  judge = async (head) => {
    await checked.promise;
    return judgeNow(head);
  };
  visitor(GET.replace("/a", "/b") + GET.replace("/a", "/c"));
  expect(told.slice(3)).toEqual(["held"]);
  judge = judgeNow;
  checked.resolve();
  await Promise.resolve().then(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  service(OK);
  expect(told.slice(4)).toEqual(["> GET /b HTTP/1.1", "held", "< HTTP/1.1 200 OK", "< ok", "> GET /c HTTP/1.1"]);
});
