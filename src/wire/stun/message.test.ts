import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Endpoint } from "../endpoint.ts";
import type { StunAttribute } from "./attributes.ts";
import { attributeOf, decodeStun, encodeStun, MAX_MESSAGE_BYTES, type StunError, type StunMessage } from "./message.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const plain = (text: string): string => text.replaceAll(" ", "");

/** RFC 5769: the transaction id of its examples, and their addresses. */
const ID = "b7e7a701bc34d686fa87dfae";
const V4: Endpoint = { address: "192.0.2.1", port: 32853 };
const V6: Endpoint = { address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 };
const V6_HEX = "20010db8123456780011223344556677";
const head = (type: string, bytes: number) => `${type} ${bytes.toString(16).padStart(4, "0")} 2112a442 ${ID}`;

function message(kind: StunMessage["kind"], ...attributes: readonly StunAttribute[]): StunMessage {
  return { kind, transactionId: ID, attributes, fingerprint: false };
}

const both: [name: string, message: StunMessage, bytes: string][] = [
  ["a bare request", message("request"), head("0001", 0)],
  ["an indication", message("indication"), head("0011", 0)],
  ["a success without attributes", message("success"), head("0101", 0)],
  [
    "XOR-MAPPED-ADDRESS of IPv4 (RFC 5769 §2.2)",
    message("success", { kind: "xor-mapped-address", endpoint: V4 }),
    `${head("0101", 12)} 0020 0008 0001a147e112a643`,
  ],
  [
    "XOR-MAPPED-ADDRESS of IPv6 (RFC 5769 §2.3)",
    message("success", { kind: "xor-mapped-address", endpoint: V6 }),
    `${head("0101", 24)} 0020 0014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9`,
  ],
  [
    "plain addresses",
    message(
      "success",
      { kind: "mapped-address", endpoint: V4 },
      { kind: "response-origin", endpoint: { address: "198.51.100.2", port: 3478 } },
      { kind: "other-address", endpoint: V6 },
    ),
    `${head("0101", 48)} 0001 0008 00018055c0000201 802b 0008 00010d96c6336402 802c 0014 00028055${V6_HEX}`,
  ],
  [
    "CHANGE-REQUEST for both",
    message("request", { kind: "change-request", address: true, port: true }),
    `${head("0001", 8)} 0003 0004 00000006`,
  ],
  [
    "CHANGE-REQUEST for the address",
    message("request", { kind: "change-request", address: true, port: false }),
    `${head("0001", 8)} 0003 0004 00000004`,
  ],
  [
    "CHANGE-REQUEST for neither",
    message("request", { kind: "change-request", address: false, port: false }),
    `${head("0001", 8)} 0003 0004 00000000`,
  ],
  [
    "RESPONSE-PORT and PADDING",
    message("request", { kind: "response-port", port: 5000 }, { kind: "padding", bytes: 5 }),
    `${head("0001", 20)} 0027 0004 13880000 0026 0005 0000000000 000000`,
  ],
  [
    "SOFTWARE, padded",
    message("request", { kind: "software", text: "test vector" }),
    `${head("0001", 16)} 8022 000b 7465737420766563746f72 00`,
  ],
  [
    "an error with its list",
    message(
      "error",
      { kind: "error-code", code: 420, reason: "Unknown" },
      { kind: "unknown-attributes", types: [0x0024, 0x7fff, 0x0006] },
    ),
    `${head("0111", 28)} 0009 000b 00000414 556e6b6e6f776e 00 000a 0006 00247fff0006 0000`,
  ],
];

describe("messages", () => {
  for (const [name, value, bytes] of both) {
    test(name, () => {
      expect(Buffer.from(encodeStun(value)).toString("hex")).toBe(plain(bytes));
      expect(decodeStun(hex(bytes))).toEqual({ ok: true, value });
    });
  }

  test("FINGERPRINT, alone and after an attribute", () => {
    // Made with Python's zlib.crc32.
    expect(Buffer.from(encodeStun({ ...message("request"), fingerprint: true })).toString("hex")).toBe(
      plain(`${head("0001", 8)} 8028 0004 fdf6ae02`),
    );
    const value: StunMessage = {
      ...message("success", { kind: "xor-mapped-address", endpoint: V6 }),
      fingerprint: true,
    };
    expect(decodeStun(encodeStun(value))).toEqual({ ok: true, value });
  });

  const decodes: [name: string, bytes: string, value: StunMessage][] = [
    [
      "unknown optional attributes are left out, with any padding",
      `${head("0101", 24)} 8029 0001 ffabcdef c0ff 0000 0020 0008 0001a147e112a643`,
      message("success", { kind: "xor-mapped-address", endpoint: V4 }),
    ],
    [
      "optional attributes that cannot be read are left out",
      `${head("0101", 40)} 802b 0004 00010d96 802c 0008 00030d96c6336402 8022 0002 fffe0000 802c 0008 00020d96c6336402`,
      message("success"),
    ],
    [
      "RESPONSE-PORT without the padding in its value",
      `${head("0001", 8)} 0027 0002 1388 0000`,
      message("request", { kind: "response-port", port: 5000 }),
    ],
    [
      "other bits of CHANGE-REQUEST mean nothing",
      `${head("0001", 8)} 0003 0004 fffffff9`,
      message("request", { kind: "change-request", address: false, port: false }),
    ],
    [
      "the words of an error that are no text",
      `${head("0111", 12)} 0009 0006 00000400 fffe 0000`,
      message("error", { kind: "error-code", code: 400, reason: "" }),
    ],
    [
      "an IPv4-mapped address is IPv4",
      `${head("0101", 24)} 0001 0014 00020d96 00000000000000000000ffffc0000201`,
      message("success", { kind: "mapped-address", endpoint: { address: "192.0.2.1", port: 3478 } }),
    ],
    [
      "the first of two counts, and both are there",
      `${head("0001", 16)} 0003 0004 00000002 0003 0004 00000004`,
      message(
        "request",
        { kind: "change-request", address: false, port: true },
        { kind: "change-request", address: true, port: false },
      ),
    ],
  ];
  for (const [name, bytes, value] of decodes) {
    test(name, () => expect(decodeStun(hex(bytes))).toEqual({ ok: true, value }));
  }

  test("an attribute is found by its kind", () => {
    const value = message("request", { kind: "response-port", port: 1 }, { kind: "response-port", port: 2 });
    expect(attributeOf(value, "response-port")).toEqual({ kind: "response-port", port: 1 });
    expect(attributeOf(value, "padding")).toBeNull();
  });
});

/** RFC 5769 §2.1. */
const ICE_REQUEST = `${head("0001", 88)} 8022 0010 5354554e207465737420636c69656e74 0024 0004 6e0001ff
  8029 0008 932ff9b151263b36 0006 0009 6576746a3a68367659202020 0008 0014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
  8028 0004 e57a3bcf`.replaceAll("\n", "");

describe("what is no message for us", () => {
  const table: [name: string, bytes: string, error: StunError][] = [
    ["nothing", "", { kind: "not-stun" }],
    ["a byte less than a header", head("0001", 0).slice(0, -2), { kind: "not-stun" }],
    ["a DNS answer's first bits", head("8180", 0), { kind: "not-stun" }],
    ["RFC 3489", head("0001", 0).replace("2112a442", "2112a443"), { kind: "cookie" }],
    ["a length that counts the header", head("0001", 20), { kind: "length" }],
    ["bytes after the end", `${head("0001", 0)} 00000000`, { kind: "length" }],
    ["a length that is no multiple of 4", `${head("0001", 2)} 0000`, { kind: "length" }],
    ["an attribute that ends behind the message", `${head("0001", 4)} 0026 0001`, { kind: "length" }],
    ["an attribute whose padding does", `${head("0001", 8)} 0003 0005 00000000`, { kind: "length" }],
    ["TURN's Allocate", head("0003", 0), { kind: "method", type: 3 }],
    ["CHANGE-REQUEST of another size", `${head("0001", 12)} 0003 0008 0000000000000006`, { kind: "attribute" }],
    ["an address of no family", `${head("0101", 12)} 0020 0008 0003a147e112a643`, { kind: "attribute" }],
    ["an address of another family's size", `${head("0101", 12)} 0001 0008 0002a147e112a643`, { kind: "attribute" }],
    ["an empty address", `${head("0101", 4)} 0001 0000`, { kind: "attribute" }],
    ["error 299", `${head("0111", 8)} 0009 0004 00000263`, { kind: "attribute" }],
    ["error 3 and 100", `${head("0111", 8)} 0009 0004 00000364`, { kind: "attribute" }],
    ["half a type", `${head("0111", 8)} 000a 0003 00240000`, { kind: "attribute" }],
    ["33 attributes", `${head("0001", 132)} ${"80290000".repeat(33)}`, { kind: "attribute" }],
    ["a wrong FINGERPRINT", `${head("0001", 8)} 8028 0004 fdf6ae03`, { kind: "fingerprint" }],
    ["a FINGERPRINT that is not the last", `${head("0001", 12)} 8028 0004 fdf6ae02 8029 0000`, { kind: "fingerprint" }],
    [
      "what must be understood and is not (RFC 5769 §2.1)",
      ICE_REQUEST,
      { kind: "unknown-attributes", message: "request", transactionId: ID, types: [0x0024, 0x0006, 0x0008] },
    ],
    [
      "each unknown type once",
      `${head("0011", 8)} 7fff0000 7fff0000`,
      { kind: "unknown-attributes", message: "indication", transactionId: ID, types: [0x7fff] },
    ],
  ];
  for (const [name, bytes, error] of table) {
    test(name, () => expect(decodeStun(hex(bytes))).toEqual({ ok: false, error }));
  }

  test("one that is too long", () => {
    const of = (bytes: number) => decodeStun(encodeStun(message("request", { kind: "padding", bytes })));
    expect(of(MAX_MESSAGE_BYTES - 24)).toMatchObject({ ok: true });
    expect(of(MAX_MESSAGE_BYTES - 20)).toEqual({ ok: false, error: { kind: "length" } });
  });

  test("a wrong byte anywhere before FINGERPRINT is seen by it", () => {
    const bytes = hex(ICE_REQUEST);
    for (let at = 0; at < bytes.length - 8; at++) {
      const broken = bytes.slice();
      broken[at] = (broken[at] ?? 0) ^ 1;
      const decoded = decodeStun(broken);
      expect(decoded.ok || decoded.error.kind === "unknown-attributes").toBe(false);
    }
  });
});

for (const [name, , bytes] of both) {
  test(`${name}, cut short at every byte`, () => {
    const whole = hex(bytes);
    for (let end = 0; end < whole.length; end++) {
      expect(decodeStun(whole.subarray(0, end)).ok).toBe(false);
    }
  });
}

const endpoint = fc.record({
  address: fc.oneof(fc.ipV4(), fc.constantFrom("2001:db8::7", "::1", "fe80::1")),
  port: fc.integer({ min: 0, max: 65535 }),
});
const attribute: fc.Arbitrary<StunAttribute> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("mapped-address", "xor-mapped-address", "response-origin", "other-address"),
    endpoint,
  }) as fc.Arbitrary<StunAttribute>,
  fc.record({ kind: fc.constant("change-request" as const), address: fc.boolean(), port: fc.boolean() }),
  fc.record({ kind: fc.constant("response-port" as const), port: fc.integer({ min: 0, max: 65535 }) }),
  fc.record({ kind: fc.constant("padding" as const), bytes: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ kind: fc.constant("software" as const), text: fc.string({ maxLength: 40 }) }),
  fc.record({
    kind: fc.constant("error-code" as const),
    code: fc.integer({ min: 300, max: 699 }),
    reason: fc.string({ maxLength: 40 }),
  }),
  fc.record({
    kind: fc.constant("unknown-attributes" as const),
    types: fc.array(fc.integer({ min: 0, max: 65535 }), { maxLength: 5 }),
  }),
);

test("every message comes back as it was", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("request", "indication", "success", "error"),
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      fc.array(attribute, { maxLength: 8 }),
      fc.boolean(),
      (kind, id, attributes, fingerprint) => {
        const value = { kind, transactionId: Buffer.from(id).toString("hex"), attributes, fingerprint } as StunMessage;
        expect(decodeStun(encodeStun(value))).toEqual({ ok: true, value });
      },
    ),
  );
});

test("random bytes never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
      const bytes = hex(head("0101", body.length));
      const whole = new Uint8Array(bytes.length + body.length);
      whole.set(bytes);
      whole.set(body, bytes.length);
      decodeStun(whole);
      decodeStun(body);
    }),
  );
});
