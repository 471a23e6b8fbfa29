import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ConnectHead,
  type ConnectRequest,
  connectStatusFor,
  encodeConnectRequest,
  encodeConnectResponse,
  MAX_HEAD_BYTES,
  newConnectParser,
} from "./http-connect.ts";
import { Reason, type ReasonName } from "./reason.ts";

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("latin1");
const parse = (text: string) => newConnectParser().push(bytesOf(text));
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

describe("requests", () => {
  const head = (authorization: string) =>
    `CONNECT example.com:443 HTTP/1.1\r\nHost: other.example\r\n${authorization}User-Agent: curl/8\r\n\r\n`;
  const none = { kind: "none" } as const;
  const web = { host: "example.com", port: 443 };
  const table: [string, string, ConnectRequest][] = [
    ["without credentials", head(""), { target: web, authorization: none }],
    [
      "with credentials",
      head(`Proxy-Authorization: ${basic("zoë:p:w")}\r\n`),
      { target: web, authorization: { kind: "basic", username: "zoë", password: "p:w" } },
    ],
    [
      "header and scheme in any case, blanks around",
      head(`pRoXy-aUtHoRiZaTiOn:\t bASIC  ${basic(":").slice(6)} \t\r\n`),
      { target: web, authorization: { kind: "basic", username: "", password: "" } },
    ],
    ["another scheme", head("Proxy-Authorization: Digest x=y\r\n"), { target: web, authorization: { kind: "other" } }],
    ["bad base64", head("Proxy-Authorization: Basic a\r\n"), { target: web, authorization: { kind: "other" } }],
    ["no colon", head(`Proxy-Authorization: ${basic("x")}\r\n`), { target: web, authorization: { kind: "other" } }],
    ["no UTF-8", head("Proxy-Authorization: Basic /zo=\r\n"), { target: web, authorization: { kind: "other" } }],
    [
      "IPv6, HTTP/1.0",
      "CONNECT [2001:DB8::1]:80 HTTP/1.0\r\n\r\n",
      { target: { host: "2001:db8::1", port: 80 }, authorization: none },
    ],
    ["an empty header, and one beyond ASCII", head("X:\r\nY: \xe9\r\n"), { target: web, authorization: none }],
  ];
  for (const [name, text, request] of table) {
    test(`${name}: at once, and one byte at a time`, () => {
      const whole = parse(`${text}\x16\x03data`);
      expect(whole).toMatchObject({ ok: true, value: { request } });
      expect(whole.ok && textOf(whole.value?.rest)).toBe("\x16\x03data");
      const parser = newConnectParser();
      for (const byte of bytesOf(text.slice(0, -1))) {
        expect(parser.push(Uint8Array.of(byte))).toEqual({ ok: true, value: null });
      }
      expect(parser.push(bytesOf("\n"))).toEqual({ ok: true, value: { request, rest: new Uint8Array() } });
    });
  }
});

describe("refused", () => {
  const table: [string, number][] = [
    ["GET http://example.com/ HTTP/1.1\r\n", 405],
    ["connect example.com:443 HTTP/1.1\r\n", 405],
    ["CONNECT example.com HTTP/1.1\r\n", 400],
    ["CONNECT :443 HTTP/1.1\r\n", 400],
    ["CONNECT *:443 HTTP/1.1\r\n", 400],
    ["CONNECT 443 HTTP/1.1\r\n", 400],
    ["CONNECT example.com:0 HTTP/1.1\r\n", 400],
    ["CONNECT http://example.com:443 HTTP/1.1\r\n", 400],
    ["CONNECT user@example.com:443 HTTP/1.1\r\n", 400],
    ["CONNECT example.com:443 HTTP/2.0\r\n", 400],
    ["CONNECT example.com:443\r\n", 400],
    ["CONNECT  example.com:443 HTTP/1.1\r\n", 400],
    ["CONNECT example.com:443 HTTP/1.1 \r\n", 400],
    ["CONNECT example.com:443 HTTP/1.1\n", 400],
    ["CONNECT example.com:443\r HTTP/1.1\r\n", 400],
    ["CONNECT example.com:443\0 HTTP/1.1\r\n", 400],
    ["\r\n", 400],
    ["\n", 400],
    ["\x7f\r\n", 400],
    ["CONNECT example.com:443 HTTP/1.1\r\nHost : x\r\n", 400],
    ["CONNECT example.com:443 HTTP/1.1\r\nHost\r\n", 400],
    ["CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n folded\r\n", 400],
    ["CONNECT example.com:443 HTTP/1.1\r\n: x\r\n", 400],
    ["CONNECT example.com:443 HTTP/1.1\r\nProxy-Authorization: a\r\nProxy-Authorization: a\r\n", 400],
  ];
  for (const [text, status] of table) {
    test(`${JSON.stringify(text)}: ${status}`, () => {
      expect(parse(text)).toMatchObject({ ok: false, error: { status } });
    });
  }

  const start = "CONNECT example.com:443 HTTP/1.1\r\nX: ";
  const headOf = (length: number) => `${start}${"x".repeat(length - start.length - 4)}\r\n\r\n`;
  test("a head of 16 KiB passes, with any amount of data after it", () => {
    expect(parse(`${headOf(MAX_HEAD_BYTES)}${"d".repeat(100_000)}`)).toMatchObject({ ok: true });
  });
  test("one byte more is 431", () => {
    expect(parse(headOf(MAX_HEAD_BYTES + 1))).toMatchObject({ ok: false, error: { status: 431 } });
    expect(parse("x".repeat(MAX_HEAD_BYTES))).toMatchObject({ ok: false, error: { status: 431 } });
    expect(parse("x".repeat(MAX_HEAD_BYTES - 1))).toEqual({ ok: true, value: null });
  });
});

describe("encodeConnectRequest", () => {
  const name = fc.string({ unit: "grapheme", maxLength: 20 });
  test("round trip", () => {
    fc.assert(
      fc.property(name, name, fc.boolean(), (username, password, withCredentials) => {
        const request: ConnectRequest = {
          target: { host: "2001:db8::1", port: 443 },
          authorization: withCredentials ? { kind: "basic", username, password } : { kind: "none" },
        };
        const encoded = encodeConnectRequest(request);
        expect(encoded.ok).toBe(!(withCredentials && username.includes(":")));
        if (encoded.ok) expect(newConnectParser().push(encoded.value)).toMatchObject({ ok: true, value: { request } });
      }),
    );
  });
  test("a colon in the user name cannot be sent", () => {
    const authorization = { kind: "basic", username: "a:b", password: "" } as const;
    expect(encodeConnectRequest({ target: { host: "a", port: 1 }, authorization }).ok).toBe(false);
  });
});

describe("responses", () => {
  test("200 has no body", () => {
    expect(textOf(encodeConnectResponse(200))).toBe("HTTP/1.1 200 Connection established\r\n\r\n");
  });
  test("407 says how", () => {
    expect(textOf(encodeConnectResponse(407, "Zoë, say who you are."))).toBe(
      "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n" +
        'Connection: close\r\nProxy-Authenticate: Basic realm="Hatchway", charset="UTF-8"\r\n\r\n' +
        `${Buffer.from("Zoë, say who you are.\n").toString("latin1")}`,
    );
  });
  test("405 says what is allowed; a message may be left out", () => {
    expect(textOf(encodeConnectResponse(405))).toContain("\r\nAllow: CONNECT\r\n\r\nMethod Not Allowed\n");
  });
  test("every reason has a status", () => {
    for (const reason of Object.keys(Reason) as ReasonName[]) {
      expect(connectStatusFor(reason)).toBeGreaterThanOrEqual(403);
    }
    expect([connectStatusFor("serviceTimeout"), connectStatusFor("policy")]).toEqual([504, 403]);
  });
});

test("any bytes, in any pieces, give the same", () => {
  const start = fc.constantFrom("", "CONNECT a:1 HTTP/1.1\r\n", "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic ");
  const tail = fc.array(fc.constantFrom(..."a:= \t\r\n\0é".split(""), "\r\n", "\r\n\r\n"), { maxLength: 30 });
  const flat = (head: ConnectHead | null) => head && { request: head.request, rest: textOf(head.rest) };
  fc.assert(
    fc.property(start, tail, fc.nat(60), (prefix, pieces, cut) => {
      const bytes = bytesOf(prefix + pieces.join(""));
      const whole = newConnectParser().push(bytes);
      const parser = newConnectParser();
      const first = parser.push(bytes.subarray(0, cut));
      if (!first.ok || first.value !== null) return;
      const second = parser.push(bytes.subarray(cut));
      expect(second.ok ? flat(second.value) : second.error).toEqual(whole.ok ? flat(whole.value) : whole.error);
    }),
    { numRuns: 1000 },
  );
});
