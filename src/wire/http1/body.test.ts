import { describe, expect, test } from "bun:test";
import { BodyReader, type Framing, requestFraming, responseFraming } from "./body.ts";
import type { Field } from "./head.ts";

const fields = (...lines: string[]): Field[] =>
  lines.map((line) => ({ name: line.split(": ")[0] ?? "", value: line.split(": ")[1] ?? "" }));
const requestOf = (lines: string[], minor: 0 | 1 = 1) => {
  const framing = requestFraming({ method: "POST", target: "/", minor, fields: fields(...lines) });
  return framing.ok ? framing.value : framing.error;
};

const REQUESTS: [string[], unknown][] = [
  [[], { kind: "length", bytes: 0 }],
  [["Content-Length: 5"], { kind: "length", bytes: 5 }],
  [["content-length: 0"], { kind: "length", bytes: 0 }],
  [["Transfer-Encoding: chunked"], { kind: "chunked" }],
  [["Transfer-Encoding: Chunked"], { kind: "chunked" }],
  [["Content-Length: 5", "Transfer-Encoding: chunked"], "both-lengths"],
  [["Content-Length: 5", "Content-Length: 5"], "bad-length"],
  [["Content-Length: 5, 5"], "bad-length"],
  [["Content-Length: +5"], "bad-length"],
  [["Content-Length: 0x5"], "bad-length"],
  [["Content-Length: "], "bad-length"],
  [["Content-Length: -1"], "bad-length"],
  [["Content-Length: 9999999999999999"], "bad-length"],
  [["Transfer-Encoding: gzip, chunked"], "bad-coding"],
  [["Transfer-Encoding: chunked, identity"], "bad-coding"],
  [["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "bad-coding"],
  [["Transfer-Encoding: xchunked"], "bad-coding"],
  [["Transfer-Encoding: chunked;a=b"], "bad-coding"],
  [["Transfer-Encoding: "], "bad-coding"],
  [["Transfer-Encoding: \vchunked"], "bad-coding"],
];
for (const [lines, framing] of REQUESTS) {
  test(`a request with ${JSON.stringify(lines)}`, () => expect(requestOf(lines)).toEqual(framing as never));
}
test("a request of HTTP/1.0 has no chunks", () =>
  expect(requestOf(["Transfer-Encoding: chunked"], 0)).toBe("bad-coding"));

const RESPONSES: [number, string, string[], Framing][] = [
  [200, "GET", [], { kind: "until-close" }],
  [200, "GET", ["Content-Length: 7"], { kind: "length", bytes: 7 }],
  [200, "HEAD", ["Content-Length: 7"], { kind: "length", bytes: 0 }],
  [204, "GET", ["Content-Length: 7"], { kind: "length", bytes: 0 }],
  [304, "GET", ["Transfer-Encoding: chunked"], { kind: "length", bytes: 0 }],
  [100, "POST", [], { kind: "length", bytes: 0 }],
  [500, "GET", ["Transfer-Encoding: chunked"], { kind: "chunked" }],
];
for (const [status, method, lines, framing] of RESPONSES) {
  test(`a response ${status} to ${method} with ${JSON.stringify(lines)}`, () => {
    const head = { status, reason: "", minor: 1 as const, fields: fields(...lines) };
    expect(responseFraming(head, method)).toEqual({ ok: true, value: framing });
  });
}

interface Fed {
  readonly taken: number | "malformed";
  readonly content: string;
  readonly done: boolean;
}
function feed(framing: Framing, pieces: readonly string[]): Fed {
  const reader = new BodyReader(framing);
  let [taken, content] = [0, ""];
  for (const piece of pieces) {
    const fed = reader.feed(Buffer.from(piece, "latin1"), (part) => {
      content += Buffer.from(part).toString("latin1");
    });
    if (!fed.ok) return { taken: "malformed", content, done: false };
    taken += fed.value;
  }
  return { taken, content, done: reader.isDone };
}

describe("content", () => {
  test("of a length", () => {
    expect(feed({ kind: "length", bytes: 3 }, ["a", "bcd"])).toEqual({ taken: 3, content: "abc", done: true });
    expect(feed({ kind: "length", bytes: 0 }, ["a"])).toEqual({ taken: 0, content: "", done: true });
  });

  test("until the connection ends", () => {
    expect(feed({ kind: "until-close" }, ["a", "b"])).toEqual({ taken: 2, content: "ab", done: false });
  });

  test("in chunks, cut anywhere", () => {
    const text = "3;x=y\r\nabc\r\n00A \r\n0123456789\r\n0\r\nDigest: x\r\n\r\nGET";
    const whole = { taken: text.length - 3, content: "abc0123456789", done: true };
    expect(feed({ kind: "chunked" }, [text])).toEqual(whole);
    expect(feed({ kind: "chunked" }, [...text])).toEqual(whole);
    for (let length = 0; length < whole.taken; length++) {
      const cut = feed({ kind: "chunked" }, [text.slice(0, length)]);
      expect([cut.taken, cut.done]).toEqual([length, false]);
    }
  });

  const wrong = [
    "\r\n",
    "g\r\n",
    "-1\r\n",
    "0x1\r\n",
    " 1\r\n",
    "1\n",
    "1;a\nb\r\n",
    "1\r\r\n",
    "1\r\nab",
    "1\r\na\n",
    "0\r\nno field\r\n\r\n",
    "0\r\n folded: a\r\n\r\n",
    "12345678901234\r\n",
    `1;${"a".repeat(2_000)}`,
    `0\r\n${"a: b\r\n".repeat(65)}`,
  ];
  for (const text of wrong) {
    test(`chunks as ${JSON.stringify(text.slice(0, 30))} are refused`, () => {
      expect(feed({ kind: "chunked" }, [text]).taken).toBe("malformed");
    });
  }
});
