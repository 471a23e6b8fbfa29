import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressFromBytes } from "./address.ts";
import type { HostPort } from "./endpoint.ts";
import { Reason, type ReasonName } from "./reason.ts";
import type { Result } from "./result.ts";
import {
  decodeSocks4Reply,
  decodeSocks4Request,
  decodeSocks5Greeting,
  decodeSocks5Method,
  decodeSocks5Reply,
  decodeSocks5Request,
  decodeSocksCredentials,
  decodeSocksCredentialsReply,
  decodeSocksDatagram,
  encodeSocks4Reply,
  encodeSocks4Request,
  encodeSocks5Greeting,
  encodeSocks5Method,
  encodeSocks5Reply,
  encodeSocks5Request,
  encodeSocksCredentials,
  encodeSocksCredentialsReply,
  encodeSocksDatagram,
  encodeSocksErrorReply,
  encodeSocksRefusal,
  encodeSocksUdpHeader,
  newSocksServerParser,
  Socks4Reply,
  Socks5Reply,
  type SocksError,
  type SocksMessage,
  SocksMethod,
  socks4ReplyFor,
  socks5ReplyFor,
} from "./socks.ts";
import type { DecodeStep } from "./socks-error.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const ascii = (text: string): string => Buffer.from(text).toString("hex");

function must<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly decode: (bytes: Uint8Array) => DecodeStep<unknown>;
  readonly value: unknown;
}

const web: HostPort = { host: "example.com", port: 80 };
const webBytes = `0b ${ascii("example.com")} 0050`;

/** Every message of a stream: encoded by us, compared with bytes written by hand, decoded again. */
const samples: (Sample & { hand: string })[] = [
  {
    name: "greeting",
    bytes: encodeSocks5Greeting([0, 2]),
    hand: "05 02 00 02",
    decode: decodeSocks5Greeting,
    value: [0, 2],
  },
  { name: "empty greeting", bytes: encodeSocks5Greeting([]), hand: "05 00", decode: decodeSocks5Greeting, value: [] },
  { name: "method", bytes: encodeSocks5Method(SocksMethod.none), hand: "05 00", decode: decodeSocks5Method, value: 0 },
  {
    name: "no method",
    bytes: encodeSocks5Method(SocksMethod.unacceptable),
    hand: "05 ff",
    decode: decodeSocks5Method,
    value: 255,
  },
  {
    name: "credentials",
    bytes: must(encodeSocksCredentials({ username: "zoë", password: "p" })),
    hand: "01 04 7a6fc3ab 01 70",
    decode: decodeSocksCredentials,
    value: { username: "zoë", password: "p" },
  },
  {
    name: "empty credentials",
    bytes: must(encodeSocksCredentials({ username: "", password: "" })),
    hand: "01 00 00",
    decode: decodeSocksCredentials,
    value: { username: "", password: "" },
  },
  {
    name: "credentials accepted",
    bytes: encodeSocksCredentialsReply(true),
    hand: "01 00",
    decode: decodeSocksCredentialsReply,
    value: true,
  },
  {
    name: "credentials refused",
    bytes: encodeSocksCredentialsReply(false),
    hand: "01 01",
    decode: decodeSocksCredentialsReply,
    value: false,
  },
  {
    name: "CONNECT by name",
    bytes: must(encodeSocks5Request({ version: 5, command: "connect", destination: web })),
    hand: `05 01 00 03 ${webBytes}`,
    decode: decodeSocks5Request,
    value: { version: 5, command: "connect", destination: web },
  },
  {
    name: "BIND by IPv4",
    bytes: must(encodeSocks5Request({ version: 5, command: "bind", destination: { host: "192.0.2.7", port: 443 } })),
    hand: "05 02 00 01 c0000207 01bb",
    decode: decodeSocks5Request,
    value: { version: 5, command: "bind", destination: { host: "192.0.2.7", port: 443 } },
  },
  {
    name: "UDP ASSOCIATE by IPv6",
    bytes: must(encodeSocks5Request({ version: 5, command: "udp-associate", destination: { host: "::", port: 0 } })),
    hand: `05 03 00 04 ${"00".repeat(16)} 0000`,
    decode: decodeSocks5Request,
    value: { version: 5, command: "udp-associate", destination: { host: "::", port: 0 } },
  },
  {
    name: "reply",
    bytes: encodeSocks5Reply(Socks5Reply.succeeded, { address: "2001:db8::1", port: 1080 }),
    hand: "05 00 00 04 20010db8000000000000000000000001 0438",
    decode: decodeSocks5Reply,
    value: { code: 0, bound: { host: "2001:db8::1", port: 1080 } },
  },
  {
    name: "refusal",
    bytes: encodeSocks5Reply(Socks5Reply.connectionRefused, null),
    hand: "05 05 00 01 00000000 0000",
    decode: decodeSocks5Reply,
    value: { code: 5, bound: { host: "0.0.0.0", port: 0 } },
  },
  {
    name: "SOCKS4 CONNECT",
    bytes: must(
      encodeSocks4Request({
        version: 4,
        command: "connect",
        destination: { host: "192.0.2.7", port: 80 },
        userId: "me",
      }),
    ),
    hand: `04 01 0050 c0000207 ${ascii("me")} 00`,
    decode: decodeSocks4Request,
    value: { version: 4, command: "connect", destination: { host: "192.0.2.7", port: 80 }, userId: "me" },
  },
  {
    name: "SOCKS4a CONNECT",
    bytes: must(encodeSocks4Request({ version: 4, command: "connect", destination: web, userId: "" })),
    hand: `04 01 0050 00000001 00 ${ascii("example.com")} 00`,
    decode: decodeSocks4Request,
    value: { version: 4, command: "connect", destination: web, userId: "" },
  },
  {
    name: "SOCKS4 BIND",
    bytes: must(
      encodeSocks4Request({ version: 4, command: "bind", destination: { host: "0.0.0.0", port: 0 }, userId: "é" }),
    ),
    hand: "04 02 0000 00000000 e9 00",
    decode: decodeSocks4Request,
    value: { version: 4, command: "bind", destination: { host: "0.0.0.0", port: 0 }, userId: "é" },
  },
  {
    name: "SOCKS4a with an IPv6 address for a name",
    bytes: must(
      encodeSocks4Request({ version: 4, command: "connect", destination: { host: "::1", port: 80 }, userId: "" }),
    ),
    hand: `04 01 0050 00000001 00 ${ascii("::1")} 00`,
    decode: decodeSocks4Request,
    value: { version: 4, command: "connect", destination: { host: "::1", port: 80 }, userId: "" },
  },
  {
    name: "SOCKS4a with an address 4 cannot write",
    bytes: must(
      encodeSocks4Request({ version: 4, command: "connect", destination: { host: "0.0.0.9", port: 80 }, userId: "" }),
    ),
    hand: `04 01 0050 00000001 00 ${ascii("0.0.0.9")} 00`,
    decode: decodeSocks4Request,
    value: { version: 4, command: "connect", destination: { host: "0.0.0.9", port: 80 }, userId: "" },
  },
  {
    name: "SOCKS4 granted",
    bytes: encodeSocks4Reply(Socks4Reply.granted, { address: "192.0.2.7", port: 1080 }),
    hand: "00 5a 0438 c0000207",
    decode: decodeSocks4Reply,
    value: { code: 90, bound: { address: "192.0.2.7", port: 1080 } },
  },
  {
    name: "SOCKS4 granted from IPv6",
    bytes: encodeSocks4Reply(Socks4Reply.granted, { address: "::1", port: 1080 }),
    hand: "00 5a 0000 00000000",
    decode: decodeSocks4Reply,
    value: { code: 90, bound: { address: "0.0.0.0", port: 0 } },
  },
];

describe("messages", () => {
  for (const { name, bytes, hand, decode, value } of samples) {
    test(name, () => {
      expect(hexOf(bytes)).toBe(hand.replaceAll(" ", ""));
      const followed = Buffer.concat([bytes, hex("ffff")]);
      expect(decode(followed)).toEqual({ ok: true, value: { value, length: bytes.length } });
      for (let length = 0; length < bytes.length; length++) {
        expect(decode(bytes.subarray(0, length))).toEqual({ ok: true, value: null });
      }
    });
  }

  const bad: [string, (bytes: Uint8Array) => DecodeStep<unknown>, string, SocksError][] = [
    ["greeting", decodeSocks5Greeting, "06", { kind: "version", version: 6 }],
    ["method", decodeSocks5Method, "04", { kind: "version", version: 4 }],
    ["credentials", decodeSocksCredentials, "05", { kind: "credentials-version", version: 5 }],
    ["credentials that are no UTF-8", decodeSocksCredentials, "01 01 ff 01 61", { kind: "text" }],
    ["credentials' reply", decodeSocksCredentialsReply, "05", { kind: "credentials-version", version: 5 }],
    ["request", decodeSocks5Request, "04", { kind: "version", version: 4 }],
    ["command", decodeSocks5Request, "05 04", { kind: "command", command: 4 }],
    ["address type", decodeSocks5Request, "05 01 00 02", { kind: "address-type", addressType: 2 }],
    ["empty name", decodeSocks5Request, "05 01 00 03 00 0050", { kind: "host" }],
    ["name with a NUL", decodeSocks5Request, "05 01 00 03 02 6100 0050", { kind: "host" }],
    ["name beyond ASCII", decodeSocks5Request, "05 01 00 03 02 c3ab 0050", { kind: "host" }],
    ["reply", decodeSocks5Reply, "00", { kind: "version", version: 0 }],
    ["reply's address", decodeSocks5Reply, "05 00 00 05", { kind: "address-type", addressType: 5 }],
    ["SOCKS4", decodeSocks4Request, "05", { kind: "version", version: 5 }],
    ["SOCKS4 command", decodeSocks4Request, "04 03", { kind: "command", command: 3 }],
    ["SOCKS4 user id", decodeSocks4Request, `04 01 0050 c0000207 ${"61".repeat(256)}`, { kind: "too-long" }],
    ["SOCKS4a name", decodeSocks4Request, `04 01 0050 00000001 00 ${"61".repeat(256)}`, { kind: "too-long" }],
    ["SOCKS4a empty name", decodeSocks4Request, "04 01 0050 00000001 00 00", { kind: "host" }],
    ["SOCKS4 reply", decodeSocks4Reply, "04", { kind: "version", version: 4 }],
  ];
  for (const [name, decode, bytes, error] of bad) {
    test(`refuses: ${name}`, () => expect(decode(hex(bytes))).toEqual({ ok: false, error }));
  }

  test("what cannot be encoded is said", () => {
    const long = "a".repeat(256);
    const tooLong = { ok: false, error: { kind: "too-long" } } as const;
    expect(encodeSocksCredentials({ username: long, password: "" })).toEqual(tooLong);
    expect(encodeSocks5Request({ version: 5, command: "connect", destination: { host: long, port: 1 } })).toEqual(
      tooLong,
    );
    expect(encodeSocks5Request({ version: 5, command: "connect", destination: { host: "", port: 1 } }).ok).toBe(false);
    expect(encodeSocks4Request({ version: 4, command: "connect", destination: web, userId: long })).toEqual(tooLong);
    expect(encodeSocks4Request({ version: 4, command: "connect", destination: web, userId: "a\0" }).ok).toBe(false);
    expect(encodeSocks5Greeting(Array(300).fill(0)).length).toBe(257);
  });
});

describe("datagrams", () => {
  const payload = Uint8Array.from([1, 2, 3]);
  const table: [HostPort, string][] = [
    [{ host: "192.0.2.7", port: 53 }, "000000 01 c0000207 0035"],
    [{ host: "2001:db8::1", port: 53 }, "000000 04 20010db8000000000000000000000001 0035"],
    [web, `000000 03 ${webBytes}`],
  ];
  for (const [destination, header] of table) {
    test(destination.host, () => {
      expect(hexOf(must(encodeSocksUdpHeader(destination)))).toBe(header.replaceAll(" ", ""));
      const bytes = must(encodeSocksDatagram({ destination, payload }));
      expect(decodeSocksDatagram(bytes)).toEqual({ ok: true, value: { destination, payload } });
      for (let length = 0; length < bytes.length - payload.length; length++) {
        expect(decodeSocksDatagram(bytes.subarray(0, length))).toEqual({ ok: false, error: { kind: "truncated" } });
      }
    });
  }
  const bad: [string, SocksError][] = [
    ["0000 01 01 c0000207 0035", { kind: "fragment", fragment: 1 }],
    ["0000 80 01 c0000207 0035", { kind: "fragment", fragment: 128 }],
    ["0000 00 02", { kind: "address-type", addressType: 2 }],
    ["0000 00 03 01 20 0035", { kind: "host" }],
  ];
  for (const [bytes, error] of bad) {
    test(`refuses ${bytes}`, () => expect(decodeSocksDatagram(hex(bytes))).toEqual({ ok: false, error }));
  }
  test("an empty payload stays one", () => {
    const bytes = must(encodeSocksDatagram({ destination: web, payload: new Uint8Array() }));
    expect(must(decodeSocksDatagram(bytes)).payload.length).toBe(0);
  });
  test("a destination over 255 bytes is refused", () => {
    expect(encodeSocksDatagram({ destination: { host: "a".repeat(256), port: 1 }, payload }).ok).toBe(false);
  });
});

/** Plays a server: chooses user name and password when offered, then takes the request. */
function serve(chunks: readonly Uint8Array[]) {
  const parser = newSocksServerParser();
  const messages: SocksMessage[] = [];
  for (const chunk of chunks) {
    let step = parser.push(chunk);
    while (step.ok && step.value !== null) {
      const message = step.value;
      messages.push(message);
      if (message.kind === "request") break;
      const withPassword = message.kind === "greeting" && message.methods.includes(SocksMethod.usernamePassword);
      step = parser.expect(withPassword ? "credentials" : "request");
    }
    if (!step.ok) return { messages, error: step.error, rest: "", version: parser.version() };
  }
  return { messages, error: null, rest: hexOf(parser.rest()), version: parser.version() };
}

describe("server parser", () => {
  const connect = must(encodeSocks5Request({ version: 5, command: "connect", destination: web }));
  const withPassword = Buffer.concat([
    encodeSocks5Greeting([0, 2]),
    must(encodeSocksCredentials({ username: "u", password: "p" })),
    connect,
    hex("616263"),
  ]);
  const open = Buffer.concat([encodeSocks5Greeting([0]), connect, hex("616263")]);
  const four = Buffer.concat([
    must(encodeSocks4Request({ version: 4, command: "connect", destination: web, userId: "me" })),
    hex("616263"),
  ]);
  const table: [string, Uint8Array, string[], 4 | 5][] = [
    ["SOCKS5 with password", withPassword, ["greeting", "credentials", "request"], 5],
    ["SOCKS5 without", open, ["greeting", "request"], 5],
    ["SOCKS4a", four, ["request"], 4],
  ];
  for (const [name, bytes, kinds, version] of table) {
    test(`${name}: at once, and one byte at a time`, () => {
      const whole = serve([bytes]);
      const pieces = serve(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
      expect(pieces).toEqual(whole);
      expect(whole).toMatchObject({ error: null, rest: "616263", version });
      expect(whole.messages.map((message) => message.kind as string)).toEqual(kinds);
      expect(whole.messages.at(-1)).toMatchObject({ request: { destination: web } });
    });
  }

  test("nothing is read past a greeting that has no answer yet", () => {
    const parser = newSocksServerParser();
    expect(parser.push(open)).toMatchObject({ ok: true, value: { kind: "greeting" } });
    expect(parser.push(new Uint8Array())).toEqual({ ok: true, value: null });
    expect(parser.expect("request")).toMatchObject({ ok: true, value: { kind: "request" } });
  });
  test("a client that sends ahead without end is refused", () => {
    const parser = newSocksServerParser();
    parser.push(encodeSocks5Greeting([0]));
    expect(parser.push(new Uint8Array(16_384))).toEqual({ ok: true, value: null });
    expect(parser.push(new Uint8Array(1))).toEqual({ ok: false, error: { kind: "too-long" } });
  });
  test("an error is final", () => {
    const parser = newSocksServerParser();
    const error = { ok: false, error: { kind: "version", version: 0x47 } } as const;
    expect(parser.push(hex("47"))).toEqual(error);
    expect(parser.push(open)).toEqual(error);
    expect(parser.expect("request")).toEqual(error);
    expect(parser.version()).toBeNull();
  });
  test("nothing yet", () => {
    expect(newSocksServerParser().push(new Uint8Array())).toEqual({ ok: true, value: null });
  });
});

describe("refusals", () => {
  test("every reason has a reply in both versions", () => {
    for (const reason of Object.keys(Reason) as ReasonName[]) {
      expect(socks5ReplyFor(reason)).toBeGreaterThan(0);
      expect(socks4ReplyFor(reason)).toBe(91);
      expect(hexOf(encodeSocksRefusal(4, reason))).toBe("005b000000000000");
      expect(encodeSocksRefusal(5, reason)[1]).toBe(socks5ReplyFor(reason));
    }
  });
  const told: [ReasonName, number][] = [
    ["serviceRefused", 5],
    ["hostNotFound", 4],
    ["exitNotAllowed", 2],
    ["serviceTimeout", 6],
    ["deviceAway", 3],
  ];
  for (const [reason, code] of told) test(`${reason} is ${code}`, () => expect(socks5ReplyFor(reason)).toBe(code as 5));

  const unread: [4 | 5 | null, SocksError, string | null][] = [
    [5, { kind: "command", command: 9 }, "05070001000000000000"],
    [5, { kind: "address-type", addressType: 9 }, "05080001000000000000"],
    [5, { kind: "host" }, "05040001000000000000"],
    [5, { kind: "text" }, "0101"],
    [5, { kind: "too-long" }, null],
    [4, { kind: "host" }, "005b000000000000"],
    [null, { kind: "version", version: 9 }, null],
  ];
  for (const [version, error, reply] of unread) {
    test(`${error.kind} in version ${version} answers ${reply}`, () => {
      const bytes = encodeSocksErrorReply(version, error);
      expect(bytes === null ? null : hexOf(bytes)).toBe(reply);
    });
  }
});

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,9}$/);
const host = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => addressFromBytes(bytes) ?? ""),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => addressFromBytes(bytes) ?? ""),
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
);
const hostPort = fc.record({ host, port: fc.nat(65535) });

describe("properties", () => {
  test("round trip of requests, replies and datagrams", () => {
    fc.assert(
      fc.property(hostPort, fc.uint8Array({ maxLength: 40 }), (destination, payload) => {
        const five = { version: 5, command: "connect", destination } as const;
        expect(decodeSocks5Request(must(encodeSocks5Request(five)))).toMatchObject({
          ok: true,
          value: { value: five },
        });
        const four = { version: 4, command: "connect", destination, userId: "u" } as const;
        expect(decodeSocks4Request(must(encodeSocks4Request(four)))).toMatchObject({
          ok: true,
          value: { value: four },
        });
        const datagram = { destination, payload };
        expect(decodeSocksDatagram(must(encodeSocksDatagram(datagram)))).toEqual({ ok: true, value: datagram });
      }),
    );
  });
  test("any bytes, in any pieces, give the same", () => {
    const start = fc.constantFrom("", "05010005010001", "0502000201017501700501000304", "040100500000000100");
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 40 }), fc.nat(60), (prefix, tail, cut) => {
        const bytes = Buffer.concat([hex(prefix), tail]);
        expect(serve([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(serve([bytes]));
      }),
      { numRuns: 1000 },
    );
  });
});
