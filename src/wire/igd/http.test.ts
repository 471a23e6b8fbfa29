import { describe, expect, test } from "bun:test";
import { encodeHttpResponse, type HttpRequest, MAX_HTTP_HEAD_BYTES, newHttpRequestReader } from "./http.ts";
import { MAX_SOAP_BYTES } from "./soap.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const text = (value: Uint8Array): string => Buffer.from(value).toString("latin1");

function read(input: string) {
  const result = newHttpRequestReader().push(bytes(input));
  return result.ok ? result.value : result.error.status;
}

function request(over: Partial<HttpRequest> & { readonly with?: Record<string, string> } = {}): unknown {
  const { with: headers = {}, ...rest } = over;
  const whole = { method: "POST", path: "/x", minorVersion: 1, body: new Uint8Array(0), ...rest };
  return { ...whole, headers: new Map(Object.entries(headers)), body: Buffer.from(whole.body) };
}

const WHOLE: readonly (readonly [name: string, input: string, expected: unknown])[] = [
  ["GET", "GET /x HTTP/1.1\r\n\r\n", request({ method: "GET" })],
  ["HTTP/1.0 and bare LF", "GET /x HTTP/1.0\nA: b \n\n", request({ method: "GET", minorVersion: 0, with: { a: "b" } })],
  ["empty lines before it", "\r\n\r\nGET /x HTTP/1.1\r\n\r\n", request({ method: "GET" })],
  [
    "a body, and more behind it",
    "POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdef",
    request({ body: bytes("abc"), with: { "content-length": "3" } }),
  ],
  [
    "chunks, an extension and a trailer",
    "POST /x HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n00a\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
    request({ body: bytes("abc0123456789"), with: { "transfer-encoding": "Chunked" } }),
  ],
  [
    "no chunk at all",
    "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    request({ with: { "transfer-encoding": "chunked" } }),
  ],
  ["a header twice", "GET /x HTTP/1.1\r\nA: 1\r\nA: 2\r\n\r\n", request({ method: "GET", with: { a: "1, 2" } })],
  ["the SUBSCRIBE of eventing", "SUBSCRIBE /x HTTP/1.1\r\n\r\n", request({ method: "SUBSCRIBE" })],
];

const post = (headers: string, body = ""): string => `POST /x HTTP/1.1\r\n${headers}\r\n\r\n${body}`;

const REFUSED: readonly (readonly [name: string, input: string, status: number])[] = [
  ["no request line", "hello\r\n\r\n", 400],
  ["an absolute target", "GET http://a/x HTTP/1.1\r\n\r\n", 400],
  ["a target with a blank", "GET /a b HTTP/1.1\r\n\r\n", 400],
  ["HTTP/2", "GET /x HTTP/2.0\r\n\r\n", 505],
  ["a control character", "GET /x HTTP/1.1\r\nA: \u0001\r\n\r\n", 400],
  ["a folded header", "GET /x HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400],
  ["a header without a name", "GET /x HTTP/1.1\r\n: b\r\n\r\n", 400],
  ["a blank before the colon", "GET /x HTTP/1.1\r\nHost : b\r\n\r\n", 400],
  ["two hosts", "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
  ["two SOAPActions", post("SOAPAction: a\r\nSOAPAction: b\r\nContent-Length: 0"), 400],
  ["a POST of unknown size", post("A: b"), 411],
  ["a size that is no number", post("Content-Length: 1x"), 400],
  ["a negative size", post("Content-Length: -1"), 400],
  ["a size over the limit", post(`Content-Length: ${MAX_SOAP_BYTES + 1}`), 413],
  ["an endless size", post(`Content-Length: ${"9".repeat(15)}`), 413],
  ["a size and chunks", post("Content-Length: 3\r\nTransfer-Encoding: chunked"), 400],
  ["another encoding", post("Transfer-Encoding: gzip, chunked"), 501],
  ["a chunk over the limit", post("Transfer-Encoding: chunked", "2001\r\n"), 413],
  ["chunks over the limit", post("Transfer-Encoding: chunked", `1fff\r\n${"a".repeat(0x1fff)}\r\n2\r\n`), 413],
  ["a chunk size that is none", post("Transfer-Encoding: chunked", "x\r\n"), 400],
  ["a chunk longer than it says", post("Transfer-Encoding: chunked", "1\r\nab\r\n"), 400],
  ["an endless chunk line", post("Transfer-Encoding: chunked", `1;${"a".repeat(300)}`), 400],
  ["endless trailers", post("Transfer-Encoding: chunked", `0\r\n${"a: b\r\n".repeat(12_000)}`), 413],
  ["an endless head", `GET /x HTTP/1.1\r\n${"A: b\r\n".repeat(1000)}`, 431],
  ["an endless line", `GET /${"x".repeat(MAX_HTTP_HEAD_BYTES)}`, 431],
];

describe("a request", () => {
  test.each(WHOLE)("%s", (_name, input, expected) => {
    const found = read(input);
    expect(found).toEqual(expected as never);
  });

  test.each(WHOLE)("%s, one byte at a time and cut at every byte", (_name, input, expected) => {
    const reader = newHttpRequestReader();
    for (let at = 0; at < input.length; at++) {
      const result = reader.push(bytes(input[at]!));
      if (!result.ok) throw new Error(`refused at byte ${at}`);
      if (result.value === null) {
        expect(read(input.slice(0, at + 1))).toBeNull();
        continue;
      }
      expect({ ...result.value, body: Buffer.from(result.value.body) }).toEqual(expected as never);
      return;
    }
    throw new Error("not whole");
  });

  test.each(REFUSED)("refused: %s", (_name, input, status) => {
    expect(read(input)).toBe(status as never);
  });

  test.each(REFUSED)("refused one byte at a time: %s", (_name, input, status) => {
    const reader = newHttpRequestReader();
    for (const character of input) {
      const result = reader.push(bytes(character));
      if (result.ok) expect(result.value).toBeNull();
      else return expect(result.error.status).toBe(status as never);
    }
    throw new Error("not refused");
  });

  test("however much comes at once, the body is what its size says", () => {
    const found = read(`${post("Content-Length: 3")}${"a".repeat(1_000_000)}`);
    expect(found).toMatchObject({ body: new Uint8Array(bytes("aaa")) });
    expect(read(post("Transfer-Encoding: chunked", "1\r\na\r\n".repeat(200_000)))).toBe(413 as never);
  });

  test("one that waits for a 100 says so until the body comes", () => {
    const reader = newHttpRequestReader();
    expect(reader.awaitsContinue).toBe(false);
    reader.push(bytes(post("Expect: 100-continue\r\nContent-Length: 3")));
    expect(reader.awaitsContinue).toBe(true);
    reader.push(bytes("a"));
    expect(reader.awaitsContinue).toBe(false);
  });
});

describe("a response", () => {
  const response = { status: 200, headers: [["EXT", ""]], body: bytes("abc") } as const;
  const head = "HTTP/1.1 200 OK\r\nEXT:\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";

  test.each([
    ["with its body", true, `${head}abc`],
    ["to HEAD", false, head],
  ] as const)("%s", (_name, withBody, expected) => {
    expect(text(encodeHttpResponse(response, withBody))).toBe(expected);
  });
});
