import { describe, expect, test } from "bun:test";
import { encodeRequestHead, HeadReader, MAX_HEAD_BYTES, parseRequestHead, parseResponseHead } from "./head.ts";

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"));
const read = (text: string) => new HeadReader().feed(bytes(text));
const request = (text: string) => {
  const head = read(text);
  if (head === null) return "more";
  if (!head.ok) return head.error;
  const parsed = parseRequestHead(head.value.head);
  return parsed.ok ? parsed.value : parsed.error;
};

describe("a request's head", () => {
  test("is read, whatever pieces it comes in, and what follows is left", () => {
    const text = "GET /a?b HTTP/1.1\r\nHost: app.example.org\r\nX:  y\t\r\n\r\nbody";
    const reader = new HeadReader();
    let head: ReturnType<HeadReader["feed"]> = null;
    let left = "";
    for (const byte of bytes(text)) {
      if (head === null) head = reader.feed(Uint8Array.of(byte));
      else left += String.fromCharCode(byte);
    }
    expect(left).toBe("body");
    expect(request(text)).toEqual({
      method: "GET",
      target: "/a?b",
      minor: 1,
      fields: [
        { name: "Host", value: "app.example.org" },
        { name: "X", value: "y" },
      ],
    });
    const whole = read(text);
    expect(whole?.ok === true && Buffer.from(whole.value.rest).toString()).toBe("body");
  });

  test("without fields", () => {
    expect(request("GET / HTTP/1.0\r\n\r\n")).toEqual({ method: "GET", target: "/", minor: 0, fields: [] });
  });

  test("comes out as it went in", () => {
    const text = "POST /x HTTP/1.1\r\nHost: a.example\r\nCookie: \xe9=1\r\n\r\n";
    const parsed = request(text);
    expect(typeof parsed === "object" && Buffer.from(encodeRequestHead(parsed)).toString("latin1")).toBe(text);
  });

  const wrong: [string, string, string][] = [
    ["bare LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", "malformed"],
    ["bare CR", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "malformed"],
    ["a bare LF at its end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "malformed"],
    ["an empty line first", "\r\nGET / HTTP/1.1\r\n\r\n", "malformed"],
    ["a blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "malformed"],
    ["a folded line", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "malformed"],
    ["a field without name", "GET / HTTP/1.1\r\n: a\r\n\r\n", "malformed"],
    ["a field without colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", "malformed"],
    ["a null byte", "GET / HTTP/1.1\r\nA: \0\r\n\r\n", "malformed"],
    ["two blanks", "GET  / HTTP/1.1\r\n\r\n", "malformed"],
    ["no version", "GET /\r\n\r\n", "malformed"],
    ["a tab", "GET\t/ HTTP/1.1\r\n\r\n", "malformed"],
    ["letters beyond ASCII in its target", "GET /\xe9 HTTP/1.1\r\n\r\n", "malformed"],
    ["HTTP/2 in text", "PRI * HTTP/2.0\r\n\r\n", "version"],
    ["HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", "version"],
    ["no end", `GET / HTTP/1.1\r\nA: ${"a".repeat(MAX_HEAD_BYTES)}`, "too-long"],
    ["many fields", `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(201)}\r\n`, "too-long"],
    ["a lack", "GET / HTTP/1.1\r\nHost: a\r\n", "more"],
  ];
  for (const [what, text, outcome] of wrong) {
    test(`with ${what}: ${outcome}`, () => {
      expect(request(text)).toBe(outcome as never);
    });
  }
});

const responses: [string, unknown][] = [
  ["HTTP/1.1 200 OK\r\nA: b", { status: 200, reason: "OK", minor: 1, fields: [{ name: "A", value: "b" }] }],
  ["HTTP/1.0 404", { status: 404, reason: "", minor: 0, fields: [] }],
  ["HTTP/1.1 200 ", { status: 200, reason: "", minor: 1, fields: [] }],
  ["HTTP/1.1 099 x", "malformed"],
  ["HTTP/1.1 2000 x", "malformed"],
  ["HTTP/2 200 OK", "malformed"],
  ["ICY 200 OK", "malformed"],
];
for (const [text, outcome] of responses) {
  test(`the response ${JSON.stringify(text)}`, () => {
    const parsed = parseResponseHead(text);
    expect(parsed.ok ? parsed.value : parsed.error).toEqual(outcome as never);
  });
}
