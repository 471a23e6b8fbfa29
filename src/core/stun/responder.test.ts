import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { StunAttribute } from "../../wire/stun/attributes.ts";
import { decodeStun, encodeStun, type StunMessage } from "../../wire/stun/message.ts";
import { bindingRequest, NO_CHANGE, REQUEST_BYTES } from "./request.ts";
import { type StunPlace, type StunReply, StunResponder } from "./responder.ts";

const ID = "0102030405060708090a0b0c";
const CLIENT = { address: "203.0.113.9", port: 50_000 };
const CLIENT6 = { address: "2001:db8::9", port: 50_000 };
const SELF = { address: "198.51.100.1", port: 3478 };
const OTHER = "198.51.100.2";
const BOTH: StunPlace = { self: SELF, otherAddress: OTHER, otherPort: 3479 };
const ONE: StunPlace = { self: SELF, otherAddress: null, otherPort: 3479 };
const BARE: StunPlace = { self: SELF, otherAddress: null, otherPort: null };

function request(attributes: readonly StunAttribute[] = [], fingerprint = false): Uint8Array {
  return encodeStun({ kind: "request", transactionId: ID, attributes, fingerprint });
}
const padded = (bytes: number, ...attributes: readonly StunAttribute[]) => {
  const bare = request([...attributes, { kind: "padding", bytes: 0 }]);
  return request([...attributes, { kind: "padding", bytes: bytes - bare.length }]);
};

function ask(datagram: Uint8Array, place = BOTH, from = CLIENT): StunReply {
  return new StunResponder(0).answer(datagram, from, place, 0);
}

/** What an answer says, in short: its kinds of attributes, and where it comes from. */
function told(reply: StunReply): string {
  if (reply.kind === "silence") return reply.why;
  const decoded = decodeStun(reply.bytes);
  if (!decoded.ok) throw new Error(decoded.error.kind);
  const { kind, attributes, fingerprint } = decoded.value;
  const words = attributes.map((one) => one.kind).join(" ");
  return `${kind} ${words}${fingerprint ? " fingerprint" : ""} from ${reply.from.address}:${reply.from.port}`;
}

const FROM_SELF = "from 198.51.100.1:3478";
const X = "success xor-mapped-address";

describe("answers", () => {
  test("our own client's request: everything, to the byte", () => {
    const reply = ask(bindingRequest(ID, NO_CHANGE));
    expect(reply.kind === "answer" && decodeStun(reply.bytes)).toEqual({
      ok: true,
      value: {
        kind: "success",
        transactionId: ID,
        fingerprint: false,
        attributes: [
          { kind: "xor-mapped-address", endpoint: CLIENT },
          { kind: "other-address", endpoint: { address: OTHER, port: 3479 } },
          { kind: "response-origin", endpoint: SELF },
          { kind: "mapped-address", endpoint: CLIENT },
        ],
      },
    });
  });

  test("IPv6 fits too", () => {
    const place = { self: { address: "2001:db8::1", port: 3478 }, otherAddress: "2001:db8::2", otherPort: 3479 };
    const reply = ask(bindingRequest(ID, NO_CHANGE), place, CLIENT6);
    expect(reply.kind === "answer" && reply.bytes.length).toBe(REQUEST_BYTES);
    expect(told(reply)).toBe(`${X} other-address response-origin mapped-address from 2001:db8::1:3478`);
  });

  const change = (address: boolean, port: boolean): StunAttribute => ({ kind: "change-request", address, port });
  const rows: [name: string, datagram: Uint8Array, place: StunPlace, told: string][] = [
    ["68 bytes: everything", padded(68), BOTH, `${X} other-address response-origin mapped-address ${FROM_SELF}`],
    ["64 bytes: without MAPPED-ADDRESS", padded(64), BOTH, `${X} other-address response-origin ${FROM_SELF}`],
    ["52 bytes: with OTHER-ADDRESS", padded(52), BOTH, `${X} other-address ${FROM_SELF}`],
    ["40 bytes: the mapped address alone", padded(40), BOTH, `${X} ${FROM_SELF}`],
    ["28 bytes: nothing", padded(28), BOTH, "short"],
    ["a bare request: nothing", request(), BOTH, "short"],
    ["one address: no OTHER-ADDRESS", padded(100), ONE, `${X} response-origin mapped-address ${FROM_SELF}`],
    [
      "FINGERPRINT is returned",
      request([{ kind: "software", text: "x".repeat(28) }], true),
      ONE,
      `${X} response-origin fingerprint ${FROM_SELF}`,
    ],
    [
      "FINGERPRINT, where it fits",
      request([{ kind: "software", text: "tailnode" }], true),
      BOTH,
      `${X} fingerprint ${FROM_SELF}`,
    ],
    ["and not where it does not", request([{ kind: "software", text: "node" }], true), BOTH, `${X} ${FROM_SELF}`],
    [
      "change of both",
      padded(100, change(true, true)),
      BOTH,
      `${X} other-address response-origin mapped-address from 198.51.100.2:3479`,
    ],
    [
      "change of the address",
      padded(100, change(true, false)),
      BOTH,
      `${X} other-address response-origin mapped-address from 198.51.100.2:3478`,
    ],
    [
      "change of the port",
      padded(100, change(false, true)),
      BOTH,
      `${X} other-address response-origin mapped-address from 198.51.100.1:3479`,
    ],
    [
      "change of nothing",
      padded(100, change(false, false)),
      BOTH,
      `${X} other-address response-origin mapped-address ${FROM_SELF}`,
    ],
    [
      "change of the port, with one address",
      padded(100, change(false, true)),
      ONE,
      `${X} response-origin mapped-address from 198.51.100.1:3479`,
    ],
    [
      "change of the address, with one",
      padded(100, change(true, true)),
      ONE,
      `error error-code unknown-attributes ${FROM_SELF}`,
    ],
    [
      "change of the port, with one",
      padded(100, change(false, true)),
      BARE,
      `error error-code unknown-attributes ${FROM_SELF}`,
    ],
    [
      "RESPONSE-PORT",
      padded(100, { kind: "response-port", port: 53 }),
      BOTH,
      `error error-code unknown-attributes ${FROM_SELF}`,
    ],
    [
      "a refusal in 28 bytes: the code alone",
      request([{ kind: "response-port", port: 53 }]),
      BOTH,
      `error error-code ${FROM_SELF}`,
    ],
    [
      "an indication",
      encodeStun({ kind: "indication", transactionId: ID, attributes: [], fingerprint: false }),
      BOTH,
      "ignored",
    ],
    [
      "a success",
      encodeStun({ kind: "success", transactionId: ID, attributes: [], fingerprint: false }),
      BOTH,
      "ignored",
    ],
    ["RFC 3489", request().map((byte, at) => (at === 4 ? 0 : byte)), BOTH, "ignored"],
    ["a wrong FINGERPRINT", request([], true).map((byte, at) => (at === 27 ? byte ^ 1 : byte)), BOTH, "ignored"],
    ["nothing at all", new Uint8Array(), BOTH, "ignored"],
  ];
  for (const [name, datagram, place, expected] of rows) {
    test(name, () => expect(told(ask(datagram, place))).toBe(expected));
  }

  test("unknown attributes that must be understood are named", () => {
    const bytes = Uint8Array.fromHex(
      `000100182112a442${ID}00060004616263648000000000240008000000000000000000`.slice(0, 88),
    );
    const reply = ask(bytes);
    expect(reply.kind === "answer" && decodeStun(reply.bytes)).toMatchObject({
      value: {
        kind: "error",
        attributes: [
          { kind: "error-code", code: 420 },
          { kind: "unknown-attributes", types: [0x0006, 0x0024] },
        ],
      },
    });
  });

  test("an indication with unknown attributes is ignored", () => {
    expect(told(ask(Uint8Array.fromHex(`001100042112a442${ID}00240000`)))).toBe("ignored");
  });

  test("nothing goes to port 0", () => {
    expect(told(ask(bindingRequest(ID, NO_CHANGE), BOTH, { ...CLIENT, port: 0 }))).toBe("ignored");
  });
});

describe("no amplification", () => {
  test("a bare request is answered when it comes again, because then enough came", () => {
    const responder = new StunResponder(0);
    const at = (nowMs: number, from = CLIENT, place = BOTH) => told(responder.answer(request(), from, place, nowMs));
    expect(at(0)).toBe("short");
    expect(at(0, { address: "203.0.113.10", port: 50_000 })).toBe("short");
    expect(at(500)).toBe(`${X} ${FROM_SELF}`);
    // 8 bytes are left of the 40.
    expect(at(1_500)).toBe("short");
    expect(at(3_500)).toBe(`${X} other-address ${FROM_SELF}`);
  });

  test("over IPv6 it takes three", () => {
    const responder = new StunResponder(0);
    const at = (nowMs: number) => responder.answer(request(), CLIENT6, BARE, nowMs).kind;
    expect([at(0), at(500), at(1_500)]).toEqual(["silence", "silence", "answer"]);
  });

  const datagrams = fc.oneof(
    fc.constantFrom(request(), request([], true), padded(28), padded(44), padded(68), padded(200)),
    fc
      .tuple(fc.boolean(), fc.boolean(), fc.integer({ min: 8, max: 40 }))
      .map(([address, port, words]) => padded(4 * words, { kind: "change-request", address, port })),
    fc.uint8Array({ maxLength: 60 }),
    fc
      .uint8Array({ minLength: 1, maxLength: 8 })
      .map((types) =>
        Uint8Array.fromHex(
          `0001${(types.length * 4).toString(16).padStart(4, "0")}2112a442${ID}${[...types].map((type) => `7f${type.toString(16).padStart(2, "0")}0000`).join("")}`,
        ),
      ),
  );
  const clients = fc.constantFrom(CLIENT, { ...CLIENT, port: 9 }, CLIENT6, { address: "192.0.2.77", port: 53 });

  test("no address is ever sent more bytes than came from it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(datagrams, clients, fc.constantFrom(BOTH, ONE, BARE), fc.nat(3_000)), { maxLength: 80 }),
        (steps) => {
          const responder = new StunResponder(0);
          const balance = new Map<string, number>();
          let nowMs = 0;
          for (const [datagram, from, place, laterMs] of steps) {
            nowMs += laterMs;
            const reply = responder.answer(datagram, from, place, nowMs);
            const out = reply.kind === "answer" ? reply.bytes.length : 0;
            balance.set(from.address, (balance.get(from.address) ?? 0) + datagram.length - out);
            expect(balance.get(from.address)).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });
});

describe("rates", () => {
  const answered = (replies: readonly StunReply[]) => replies.filter(({ kind }) => kind === "answer").length;
  const datagram = bindingRequest(ID, NO_CHANGE);

  test("one source gets 40 at once and 20 a second, whatever port it asks from", () => {
    const responder = new StunResponder(0);
    const flood = (nowMs: number) =>
      Array.from({ length: 100 }, (_, port) => responder.answer(datagram, { ...CLIENT, port: port + 1 }, BOTH, nowMs));
    expect(answered(flood(0))).toBe(40);
    expect(flood(0).at(-1)).toEqual({ kind: "silence", why: "tooMany" });
    expect(answered(flood(1_000))).toBe(20);
  });

  test("an IPv6 network of one subscriber is one source", () => {
    const responder = new StunResponder(0);
    const from = (n: number) => ({ address: `2001:db8:0:1::${n.toString(16)}`, port: 50_000 });
    const replies = Array.from({ length: 100 }, (_, n) => responder.answer(datagram, from(n + 1), BOTH, 0));
    expect(answered(replies)).toBe(40);
  });

  test("all together get 1000", () => {
    const responder = new StunResponder(0);
    const from = (n: number) => ({ address: `10.0.${n >> 8}.${n & 255}`, port: 50_000 });
    const replies = Array.from({ length: 1_100 }, (_, n) => responder.answer(datagram, from(n), BOTH, 0));
    expect(answered(replies)).toBe(1_000);
  });
});

test("our client's requests have one size, whatever they wish", () => {
  for (const wish of [NO_CHANGE, { address: true, port: true }, { address: false, port: true }]) {
    const bytes = bindingRequest(ID, wish);
    expect(bytes.length).toBe(REQUEST_BYTES);
    const decoded = decodeStun(bytes);
    expect(decoded.ok && (decoded.value as StunMessage).transactionId).toBe(ID);
  }
});
