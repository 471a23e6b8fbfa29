import { describe, expect, test } from "bun:test";
import {
  checkRequestHead,
  encodeRequestHead,
  HeadReader,
  MAX_HEAD_BYTES,
  parseRequestHead,
  parseResponseHead,
  type RequestHead,
} from "./head.ts";

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

/** What `checkRequestHead` says, the long way: as it is read when it was written. */
function readAgain(head: RequestHead): RequestHead | null {
  const written = new HeadReader().feed(encodeRequestHead(head));
  if (written === null || !written.ok || written.value.rest.length > 0) return null;
  const parsed = parseRequestHead(written.value.head);
  return parsed.ok && parsed.value.fields.length === head.fields.length ? parsed.value : null;
}
const checked = (head: RequestHead) => {
  const result = checkRequestHead(head);
  return result.ok ? result.value : null;
};
const fieldOf = (name: string, value: string): RequestHead => ({
  method: "GET",
  target: "/",
  minor: 1,
  fields: [
    { name: "Host", value: "a.b" },
    { name, value },
  ],
});

describe("a head in parts", () => {
  const longest = MAX_HEAD_BYTES - encodeRequestHead(fieldOf("a", "")).length;
  const HEADS: [string, RequestHead, boolean][] = [
    ["with a field", fieldOf("a", "b \xe9\tc"), true],
    ["with blanks around a value", fieldOf("a", " b\t"), true],
    ["with an empty value", fieldOf("a", ""), true],
    ["of two lines", fieldOf("a", "b\r\nc: d"), false],
    ["with a bare LF", fieldOf("a", "b\nc"), false],
    ["with a bare CR", fieldOf("a", "b\rc"), false],
    ["with an end in it", fieldOf("a", "b\r\n\r\n"), false],
    ["with a null byte", fieldOf("a", "\0"), false],
    ["with a colon in a name", fieldOf("a:b", "c"), false],
    ["with an end in a name", fieldOf("a\r\nb", "c"), false],
    ["without a name", fieldOf("", "c"), false],
    ["with a letter that is no byte", fieldOf("a", "\u010a"), false],
    ["with a blank in its target", { ...fieldOf("a", "b"), target: "/ HTTP/1.1" }, false],
    ["with an end in its target", { ...fieldOf("a", "b"), target: "/\r\nx:" }, false],
    ["with a blank in its method", { ...fieldOf("a", "b"), method: "GET /" }, false],
    ["without method", { ...fieldOf("a", "b"), method: "" }, false],
    ["with a target that is too long", { ...fieldOf("a", "b"), target: `/${"x".repeat(16_384)}` }, false],
    ["with 200 fields", { ...fieldOf("a", "b"), fields: Array(200).fill({ name: "a", value: "b" }) }, true],
    ["with 201 fields", { ...fieldOf("a", "b"), fields: Array(201).fill({ name: "a", value: "b" }) }, false],
    ["as long as may be", fieldOf("a", "x".repeat(longest)), true],
    ["of one byte more", fieldOf("a", "x".repeat(longest + 1)), false],
  ];
  for (const [what, head, isFine] of HEADS) {
    test(`${what} is ${isFine ? "taken" : "refused"}`, () => {
      expect(checked(head) !== null).toBe(isFine);
      if (isFine) expect(checked(head)).toEqual(readAgain(head));
    });
  }

  test("is taken if it is read as it was written, and never otherwise", () => {
    const letters = ["a", "b", "-", ":", " ", "\t", "\r", "\n", "\r\n", "\0", "\x7f", "\xe9", "/", "?"];
    let state = 7;
    const draw = (bound: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % bound;
    };
    const word = (most: number, among: number) =>
      Array.from({ length: draw(most) }, () => letters[draw(among)] ?? "").join("");
    let taken = 0;
    for (let turn = 0; turn < 20_000; turn++) {
      const head: RequestHead = {
        method: `G${word(2, turn % 3 === 0 ? letters.length : 3)}`,
        target: `/${word(3, turn % 3 === 1 ? letters.length : 3)}`,
        minor: 1,
        fields: Array.from({ length: draw(3) }, () => ({ name: `x${word(3, 4)}`, value: word(5, letters.length) })),
      };
      const own = checked(head);
      const again = readAgain(head);
      if (own !== null) {
        taken += 1;
        expect(own).toEqual(again as RequestHead);
        continue;
      }
      // A name with a colon in it was read as a shorter one: whatever else is refused is read by nobody.
      const isSame = again?.fields.every(({ name }, at) => name === head.fields[at]?.name) ?? false;
      expect([head, isSame]).toEqual([head, false]);
    }
    expect(taken).toBeGreaterThan(1_000);
  });
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
