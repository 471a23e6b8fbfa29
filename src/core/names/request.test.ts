import { describe, expect, test } from "bun:test";
import { encodeRequestHead, HeadReader, parseRequestHead, type RequestHead } from "../../wire/http1/head.ts";
import { judgeRequest, siteOfRequest } from "./request.ts";

const ASKER = { address: "203.0.113.9", scheme: "https" } as const;

function headOf(...lines: string[]): RequestHead {
  const read = new HeadReader().feed(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
  if (read?.ok !== true) throw new Error("no head");
  const parsed = parseRequestHead(read.value.head);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

const SITES: [string, string[], string | number][] = [
  ["by its Host", ["GET / HTTP/1.1", "Host: App.Example.org.:8443"], "app.example.org"],
  ["by both", ["GET http://APP.example.org/x HTTP/1.1", "Host: app.example.org"], "app.example.org"],
  ["by OPTIONS", ["OPTIONS * HTTP/1.1", "Host: app.example.org"], "app.example.org"],
  ["by none", ["GET / HTTP/1.1", "X: y"], 400],
  ["by two Hosts", ["GET / HTTP/1.1", "Host: app.example.org", "host: evil.example.org"], 400],
  ["by two equal Hosts", ["GET / HTTP/1.1", "Host: app.example.org", "Host: app.example.org"], 400],
  ["by two in one", ["GET / HTTP/1.1", "Host: app.example.org, evil.example.org"], 404],
  ["by an empty one", ["GET / HTTP/1.1", "Host: "], 404],
  ["by an address", ["GET / HTTP/1.1", "Host: 192.0.2.1"], 404],
  ["by two that disagree", ["GET http://evil.example.org/ HTTP/1.1", "Host: app.example.org"], 421],
  ["with a user", ["GET http://a@app.example.org/ HTTP/1.1", "Host: app.example.org"], 421],
  ["for a tunnel", ["CONNECT app.example.org:443 HTTP/1.1", "Host: app.example.org:443"], 405],
  ["with a strange target", ["GET app.example.org HTTP/1.1", "Host: app.example.org"], 400],
  ["with another scheme", ["GET ftp://app.example.org/ HTTP/1.1", "Host: app.example.org"], 400],
  ["for all with GET", ["GET * HTTP/1.1", "Host: app.example.org"], 400],
];
for (const [name, lines, outcome] of SITES) {
  test(`a request ${name}: ${outcome}`, () => {
    const site = siteOfRequest(headOf(...lines));
    expect(site.ok ? site.value : site.error.status).toBe(outcome as never);
  });
}

function judged(lines: string[], hides = false): string {
  const head = headOf(...lines);
  const outcome = judgeRequest(head, "app.example.org", ASKER, hides);
  if (!outcome.ok) return String(outcome.error.status);
  return Buffer.from(encodeRequestHead(outcome.value.head)).toString("latin1");
}
const FORWARDED = ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: app.example.org"];
const out = (...lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;

describe("the service gets", () => {
  test("what the visitor sent, and who that is", () => {
    expect(judged(["GET /a HTTP/1.1", "Host: app.example.org", "Cookie: a=b"])).toBe(
      out("GET /a HTTP/1.1", "Host: app.example.org", "Cookie: a=b", ...FORWARDED),
    );
  });

  test("nothing that the visitor says of itself", () => {
    const lies = [
      "X-Forwarded-For: 10.0.0.1",
      "x-forwarded-proto: http",
      "X_Forwarded_Host: evil",
      "X-Forwarded-Port: 1",
      "X-Forwarded-User: admin",
      "Forwarded: for=10.0.0.1",
      "X-Real-IP: 10.0.0.1",
      "Proxy: http://evil",
      "Proxy-Authorization: Basic x",
    ];
    expect(judged(["GET /a HTTP/1.1", "Host: app.example.org", ...lies])).toBe(
      out("GET /a HTTP/1.1", "Host: app.example.org", ...FORWARDED),
    );
  });

  test("nothing of the visitor's connection", () => {
    const lines = [
      "GET /a HTTP/1.1",
      "Host: app.example.org",
      "Connection: close, X-Hop",
      "X-Hop: 1",
      "TE: gzip",
      "Keep-Alive: 5",
    ];
    expect(judged(lines)).toBe(out("GET /a HTTP/1.1", "Host: app.example.org", ...FORWARDED, "Connection: close"));
  });

  test("the path alone, and one spelling of the name", () => {
    const text = judged(["GET http://App.example.org.:8443?x#y HTTP/1.1", "Host: APP.example.org.:8443"]);
    expect(text.split("\r\n").slice(0, 2)).toEqual(["GET /?x HTTP/1.1", "Host: app.example.org:8443"]);
  });

  test("a wish for another protocol, but not for HTTP/2", () => {
    const asks = (protocol: string) => [
      "GET / HTTP/1.1",
      "Host: a",
      "Connection: keep-alive, Upgrade",
      `Upgrade: ${protocol}`,
    ];
    expect(judged(asks("websocket"))).toBe(
      out("GET / HTTP/1.1", "Host: app.example.org", ...FORWARDED, "Upgrade: websocket", "Connection: Upgrade"),
    );
    expect(judged(asks("h2c"))).toBe(out("GET / HTTP/1.1", "Host: app.example.org", ...FORWARDED));
    expect(judged(asks("websocket, H2C"))).not.toContain("Upgrade");
    expect(judged(["GET / HTTP/1.1", "Host: a", "Upgrade: websocket"])).not.toContain("Upgrade");
    expect(
      judged(["POST / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 4"]),
    ).not.toContain("Upgrade");
  });

  test("no password of the relay's", () => {
    const lines = ["GET / HTTP/1.1", "Host: a", "Authorization: Basic x"];
    expect(judged(lines)).toContain("Basic x");
    expect(judged(lines, true)).not.toContain("Basic x");
  });

  test.each([
    [["POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"]],
    [["POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Connection: Content-Length"]],
    [["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Connection: transfer-encoding"]],
    [["GET / HTTP/1.1", "Host: a", "Connection: Host"]],
    [["POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"]],
  ])("nothing of %p", (lines) => expect(judged(lines)).toBe("400"));

  test("HTTP/1.0 as such", () => {
    expect(judged(["GET / HTTP/1.0", "Host: a"])).toContain("Connection: close");
    expect(judged(["GET / HTTP/1.0", "Host: a", "Connection: keep-alive"])).toContain("Connection: keep-alive");
  });
});
