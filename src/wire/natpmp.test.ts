import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressFromBytes } from "./address.ts";
import {
  decodeNatPmpRequest,
  decodeNatPmpResponse,
  encodeNatPmpRequest,
  encodeNatPmpResponse,
  mappingProtocolOf,
  type NatPmpRequest,
  type NatPmpRequestError,
  type NatPmpResponse,
  type NatPmpResponseError,
  NatPmpResult,
} from "./natpmp.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const spaced = (bytes: Uint8Array): string => bytes.toHex();
const plain = (text: string): string => text.replaceAll(" ", "");

const requests: [name: string, request: NatPmpRequest, bytes: string][] = [
  ["external address, §3.2", { kind: "external-address" }, "00 00"],
  [
    "map UDP, §3.3",
    { kind: "map", protocol: "udp", internalPort: 4660, externalPort: 22136, lifetimeSec: 7200 },
    "00 01 0000 1234 5678 00001c20",
  ],
  [
    "map TCP without a suggestion, for as long as can be",
    { kind: "map", protocol: "tcp", internalPort: 65535, externalPort: 0, lifetimeSec: 0xffff_ffff },
    "00 02 0000 ffff 0000 ffffffff",
  ],
  [
    "delete all of TCP, §3.4",
    { kind: "map", protocol: "tcp", internalPort: 0, externalPort: 0, lifetimeSec: 0 },
    "00 02 0000 0000 0000 00000000",
  ],
];

const responses: [name: string, response: NatPmpResponse, bytes: string][] = [
  [
    "external address, §3.2; announced, §3.2.1",
    { kind: "external-address", epochSec: 258, address: "192.0.2.7" },
    "00 80 0000 00000102 c0000207",
  ],
  [
    "map UDP, §3.3",
    { kind: "map", epochSec: 258, protocol: "udp", internalPort: 4660, externalPort: 22136, lifetimeSec: 7200 },
    "00 81 0000 00000102 1234 5678 00001c20",
  ],
  [
    "deleted, §3.4",
    { kind: "map", epochSec: 0xffff_ffff, protocol: "tcp", internalPort: 4660, externalPort: 0, lifetimeSec: 0 },
    "00 82 0000 ffffffff 1234 0000 00000000",
  ],
  [
    "no external address",
    {
      kind: "failure",
      epochSec: 258,
      result: NatPmpResult.networkFailure,
      request: { kind: "external-address" },
    },
    "00 80 0003 00000102 00000000",
  ],
  [
    "mapping refused",
    {
      kind: "failure",
      epochSec: 258,
      result: NatPmpResult.notAuthorized,
      request: { kind: "map", protocol: "tcp", internalPort: 4660 },
    },
    "00 82 0002 00000102 1234 0000 00000000",
  ],
  [
    "a code of the server's own",
    {
      kind: "failure",
      epochSec: 258,
      result: 65535,
      request: { kind: "map", protocol: "udp", internalPort: 4660 },
    },
    "00 81 ffff 00000102 1234 0000 00000000",
  ],
  ["unsupported version, erratum 3618", { kind: "unsupported-version", epochSec: 258 }, "00 80 0001 00000102"],
  [
    "unsupported opcode, with the rest of the request, §3.5",
    { kind: "unsupported-opcode", epochSec: 258, opcode: 3, rest: hex("0a0b0c") },
    "00 83 0005 00000102 0a0b0c",
  ],
];

describe("requests", () => {
  for (const [name, request, bytes] of requests) {
    test(name, () => {
      expect(spaced(encodeNatPmpRequest(request))).toBe(plain(bytes));
      expect(decodeNatPmpRequest(hex(bytes))).toEqual({ ok: true, value: request });
      expect(decodeNatPmpRequest(hex(`${bytes} ffff`))).toEqual({ ok: true, value: request });
    });
  }

  test("the reserved field is ignored", () => {
    expect(decodeNatPmpRequest(hex("00 01 ffff 1234 5678 00001c20"))).toEqual({ ok: true, value: requests[1]![1] });
  });

  test("cut anywhere, it is too short", () => {
    for (const [, request] of requests) {
      const bytes = encodeNatPmpRequest(request);
      for (let length = 0; length < bytes.length; length++) {
        expect(decodeNatPmpRequest(bytes.subarray(0, length))).toEqual({ ok: false, error: { kind: "too-short" } });
      }
    }
  });

  const none = new Uint8Array(0);
  const errors: [name: string, bytes: string, error: NatPmpRequestError][] = [
    ["PCP's version", "02 01 0000 00000e10", { kind: "unsupported-version" }],
    ["another version, and no more", "01 00", { kind: "unsupported-version" }],
    ["a response is not answered", "00 80 0000 00000102 c0000207", { kind: "response" }],
    ["nor is one of another version", "02 81", { kind: "response" }],
    ["opcode 3", "00 03", { kind: "unsupported-opcode", opcode: 3, rest: none }],
    ["opcode 127", "00 7f 0000 00000000 0a0b", { kind: "unsupported-opcode", opcode: 127, rest: hex("0a0b") }],
  ];
  for (const [name, bytes, error] of errors) {
    test(name, () => {
      expect(decodeNatPmpRequest(hex(bytes))).toEqual({ ok: false, error });
    });
  }

  const answers: [name: string, request: string, answer: string][] = [
    ["unsupported version", "01 00", "00 80 0001 00000007"],
    ["unsupported opcode of two bytes", "00 03", "00 83 0005 00000007"],
    ["unsupported opcode, whole request", "00 03 aabb ccddeeff 01020304", "00 83 0005 00000007 01020304"],
  ];
  for (const [name, request, answer] of answers) {
    test(`the error is its own answer: ${name}`, () => {
      const decoded = decodeNatPmpRequest(hex(request));
      if (decoded.ok || decoded.error.kind === "too-short" || decoded.error.kind === "response") {
        throw new Error("to be answered");
      }
      expect(spaced(encodeNatPmpResponse({ ...decoded.error, epochSec: 7 }))).toBe(plain(answer));
    });
  }
});

describe("responses", () => {
  for (const [name, response, bytes] of responses) {
    test(name, () => {
      expect(spaced(encodeNatPmpResponse(response))).toBe(plain(bytes));
      expect(decodeNatPmpResponse(hex(bytes))).toEqual({ ok: true, value: response });
    });
  }

  for (const address of ["2001:db8::7", "not an address"]) {
    test(`${address} as the external address is a network failure`, () => {
      expect(spaced(encodeNatPmpResponse({ kind: "external-address", epochSec: 258, address }))).toBe(
        plain("00 80 0003 00000102 00000000"),
      );
    });
  }

  const decodes: [name: string, bytes: string, response: NatPmpResponse][] = [
    [
      "unsupported version as in the RFC's figure",
      "00 00 0001 00000102",
      { kind: "unsupported-version", epochSec: 258 },
    ],
    [
      "the address of a failure is ignored, and may be left out",
      "00 80 0003 00000102",
      { kind: "failure", epochSec: 258, result: 3, request: { kind: "external-address" } },
    ],
    [
      "a router that maps nothing",
      "00 81 0005 00000102",
      { kind: "unsupported-opcode", epochSec: 258, opcode: 1, rest: new Uint8Array(0) },
    ],
  ];
  for (const [name, bytes, response] of decodes) {
    test(name, () => {
      expect(decodeNatPmpResponse(hex(bytes))).toEqual({ ok: true, value: response });
    });
  }

  const errors: [name: string, bytes: string, error: NatPmpResponseError][] = [
    ["PCP's version", "02 81 0000 00000102", { kind: "version", version: 2 }],
    ["a request", "00 01 0000 1234 5678 00001c20", { kind: "request" }],
    ["a success of opcode 3", "00 83 0000 00000102", { kind: "opcode", opcode: 3 }],
  ];
  for (const [name, bytes, error] of errors) {
    test(`refuses ${name}`, () => {
      expect(decodeNatPmpResponse(hex(bytes))).toEqual({ ok: false, error });
    });
  }

  test("a success cut anywhere is too short", () => {
    for (const [, response] of responses) {
      if (response.kind !== "external-address" && response.kind !== "map") continue;
      const bytes = encodeNatPmpResponse(response);
      for (let length = 0; length < bytes.length; length++) {
        expect(decodeNatPmpResponse(bytes.subarray(0, length))).toEqual({ ok: false, error: { kind: "too-short" } });
      }
    }
  });
});

test("the first byte tells NAT-PMP from PCP", () => {
  const table: [string, "nat-pmp" | "pcp"][] = [
    ["00", "nat-pmp"],
    ["01", "pcp"],
    ["02", "pcp"],
    ["ff", "pcp"],
    ["", "pcp"],
  ];
  for (const [bytes, protocol] of table) expect(mappingProtocolOf(hex(bytes))).toBe(protocol);
});

const port = fc.nat(65535);
const seconds = fc.integer({ min: 0, max: 0xffff_ffff });
const protocol = fc.constantFrom("tcp" as const, "udp" as const);
const anyRequest: fc.Arbitrary<NatPmpRequest> = fc.oneof(
  fc.constant({ kind: "external-address" } as const),
  fc.record({
    kind: fc.constant("map" as const),
    protocol,
    internalPort: port,
    externalPort: port,
    lifetimeSec: seconds,
  }),
);
const address = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => addressFromBytes(bytes) ?? "");
const anyResponse: fc.Arbitrary<NatPmpResponse> = fc.oneof(
  fc.record({ kind: fc.constant("external-address" as const), epochSec: seconds, address }),
  fc.record({
    kind: fc.constant("map" as const),
    epochSec: seconds,
    protocol,
    internalPort: port,
    externalPort: port,
    lifetimeSec: seconds,
  }),
  fc.record({
    kind: fc.constant("failure" as const),
    epochSec: seconds,
    result: fc.constantFrom(2, 3, 4, 6, 65535),
    request: fc.oneof(
      fc.constant({ kind: "external-address" } as const),
      fc.record({ kind: fc.constant("map" as const), protocol, internalPort: port }),
    ),
  }),
  fc.record({ kind: fc.constant("unsupported-version" as const), epochSec: seconds }),
  fc.record({
    kind: fc.constant("unsupported-opcode" as const),
    epochSec: seconds,
    opcode: fc.integer({ min: 3, max: 127 }),
    rest: fc.uint8Array({ maxLength: 40 }),
  }),
);

test("round trip of any request and response", () => {
  fc.assert(
    fc.property(anyRequest, anyResponse, (request, response) => {
      expect(decodeNatPmpRequest(encodeNatPmpRequest(request))).toEqual({ ok: true, value: request });
      expect(decodeNatPmpResponse(encodeNatPmpResponse(response))).toEqual({ ok: true, value: response });
    }),
  );
});

test("any bytes give a value or an error", () => {
  const opcode = fc.constantFrom(0, 1, 2, 3, 0x80, 0x81, 0x82, 0x83);
  fc.assert(
    fc.property(opcode, fc.uint8Array({ maxLength: 24 }), (code, tail) => {
      const bytes = Uint8Array.of(0, code, ...tail);
      expect(typeof decodeNatPmpRequest(bytes).ok).toBe("boolean");
      expect(typeof decodeNatPmpResponse(bytes).ok).toBe("boolean");
    }),
    { numRuns: 1000, seed: 6886 },
  );
});
