import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type PcpBody, type PcpMap, PcpProtocol, PcpResult } from "./message.ts";
import { decodePcpRequest, encodePcpRequest, type PcpRefusal } from "./request.ts";
import {
  decodePcpResponse,
  encodePcpRefusal,
  encodePcpSuccess,
  type PcpResponse,
  type PcpResponseError,
  type PcpSuccess,
} from "./response.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const plain = (text: string): string => text.replaceAll(" ", "");

const NONCE = "0102030405060708090a0b0c";
const V4 = "00000000000000000000ffff";
const ZERO12 = "00".repeat(12);
const times = { lifetimeSec: 3600, epochSec: 258 };
const TIMES = "00000e10 00000102";
const mapping = {
  nonce: NONCE,
  protocol: PcpProtocol.tcp,
  internalPort: 4660,
  externalPort: 22136,
  externalAddress: "192.0.2.7",
};
const map: PcpMap = { opcode: "map", ...mapping, thirdParty: null, preferFailure: false, filters: [] };
const mapBytes = `${NONCE} 06 000000 1234 5678 ${V4} c0000207`;
const CLIENT = `${V4} c0a80005`;
const MAP_REQUEST = `02 01 0000 00001c20 ${CLIENT} ${mapBytes}`;

const success = (body: PcpBody): PcpSuccess => ({ kind: "success", ...times, body });

/** §7.2, figure 3, with §11.1 and 12.1. */
const successes: [name: string, response: PcpSuccess, bytes: string][] = [
  ["ANNOUNCE, asked for or not (§14.1)", success({ opcode: "announce" }), `02 80 00 00 ${TIMES} ${ZERO12}`],
  ["MAP", success(map), `02 81 00 00 ${TIMES} ${ZERO12} ${mapBytes}`],
  [
    "MAP with the options that were done",
    success({ ...map, thirdParty: "192.168.0.9", preferFailure: true, filters: [{ remote: null, remotePort: 0 }] }),
    `02 81 00 00 ${TIMES} ${ZERO12} ${mapBytes} 01 00 0010 ${V4} c0a80009 02000000 03 00 0014 ${"00".repeat(20)}`,
  ],
  [
    "PEER",
    success({
      ...mapping,
      opcode: "peer",
      remotePort: 53,
      remoteAddress: "198.51.100.2",
      thirdParty: null,
    }),
    `02 82 00 00 ${TIMES} ${ZERO12} ${mapBytes} 0035 0000 ${V4} c6336402`,
  ],
];

describe("success", () => {
  for (const [name, response, bytes] of successes) {
    test(name, () => {
      const encoded = encodePcpSuccess(response);
      expect(encoded.ok && encoded.value.toHex()).toBe(plain(bytes));
      expect(decodePcpResponse(hex(bytes))).toEqual({ ok: true, value: response });
    });
  }
  test("what cannot be encoded is told", () => {
    const name = encodePcpSuccess(success({ ...map, externalAddress: "example.com" }));
    expect(name).toEqual({ ok: false, error: { kind: "address" } });
  });
  test("options that the client does not know are ignored, mandatory ones too", () => {
    const bytes = hex(`${successes[1]![2]} 7f 00 0000 80 00 0004 01020304`);
    expect(decodePcpResponse(bytes)).toEqual({ ok: true, value: success(map) });
  });
});

describe("refusal", () => {
  const refusal = (request: string, result: PcpRefusal["result"], parsed: boolean): PcpRefusal => ({
    kind: "refusal",
    result,
    request: hex(request),
    parsed,
  });
  const { notAuthorized, malformedRequest, malformedOption, unsupportedVersion, unsupportedOpcode } = PcpResult;
  const refused = (result: number, fields: Partial<PcpResponse> = {}): PcpResponse =>
    ({ kind: "refused", ...times, result, opcode: "map", mapping, ...fields }) as PcpResponse;
  const END = "00000000ffffc0a80005";
  const long = "80000000".repeat(300);

  const table: [name: string, refusal: PcpRefusal, bytes: string, response: PcpResponse | PcpResponseError["kind"]][] =
    [
      [
        "of a request that was understood",
        refusal(MAP_REQUEST, notAuthorized, true),
        `02 81 00 02 ${TIMES} ${ZERO12} ${mapBytes}`,
        refused(notAuthorized),
      ],
      [
        "of one that was not: the end of the client's address stays (§7.2)",
        refusal(`${MAP_REQUEST} 01 00 0000`, malformedOption, false),
        `02 81 00 06 ${TIMES} 0000${END} ${mapBytes} 01 00 0000`,
        refused(malformedOption),
      ],
      [
        "of an odd length: padded",
        refusal(`${MAP_REQUEST} ff`, malformedRequest, false),
        `02 81 00 03 ${TIMES} 0000${END} ${mapBytes} ff000000`,
        refused(malformedRequest),
      ],
      [
        "of more than 1,100 bytes: cut",
        refusal(`${MAP_REQUEST} ${long}`, malformedRequest, false),
        `02 81 00 03 ${TIMES} 0000${END} ${mapBytes} ${"80000000".repeat((1100 - 60) / 4)}`,
        refused(malformedRequest),
      ],
      [
        "of an ANNOUNCE",
        refusal(`02 00 0000 00000000 ${CLIENT}`, notAuthorized, true),
        `02 80 00 02 ${TIMES} ${ZERO12}`,
        refused(notAuthorized, { opcode: "announce", mapping: null }),
      ],
      [
        "of another version: padded to a header",
        refusal("03 01 ffff", unsupportedVersion, false),
        `02 81 00 01 ${TIMES} ${ZERO12}`,
        { kind: "unsupported-version", version: 2 },
      ],
      [
        "of an opcode that nobody knows: the rest as it came",
        refusal(`02 7f 0000 00000000 ${CLIENT} 0a0b0c0d`, unsupportedOpcode, false),
        `02 ff 00 04 ${TIMES} 0000${END} 0a0b0c0d`,
        "opcode",
      ],
      [
        "of a MAP that is cut short",
        refusal(`02 01 0000 00000000 ${CLIENT} 0a0b0c0d`, malformedRequest, false),
        `02 81 00 03 ${TIMES} 0000${END} 0a0b0c0d`,
        "malformed",
      ],
    ];
  for (const [name, refusal, bytes, response] of table) {
    test(name, () => {
      const encoded = encodePcpRefusal(refusal, times);
      expect(encoded.toHex()).toBe(plain(bytes));
      const decoded = decodePcpResponse(encoded);
      if (typeof response === "string") expect(decoded).toMatchObject({ ok: false, error: { kind: response } });
      else expect(decoded).toEqual({ ok: true, value: response });
    });
  }

  test("the request is left as it was", () => {
    const request = hex(MAP_REQUEST);
    encodePcpRefusal({ kind: "refusal", result: notAuthorized, request, parsed: true }, times);
    expect(request.toHex()).toBe(plain(MAP_REQUEST));
  });
});

describe("other responses", () => {
  const values: [name: string, bytes: string, response: PcpResponse][] = [
    ["a server of NAT-PMP alone", "00 80 0001 00000102", { kind: "unsupported-version", version: 0 }],
    ["a server of version 1, in four bytes", "01 81 0001", { kind: "unsupported-version", version: 1 }],
    [
      "a code registered later",
      `02 81 00 c8 ${TIMES} ${ZERO12} ${mapBytes}`,
      { kind: "refused", ...times, result: 200, opcode: "map", mapping },
    ],
  ];
  for (const [name, bytes, response] of values) {
    test(name, () => {
      expect(decodePcpResponse(hex(bytes))).toEqual({ ok: true, value: response });
    });
  }

  const errors: [name: string, bytes: string, error: PcpResponseError][] = [
    ["nothing", "", { kind: "too-short" }],
    ["three bytes", "028100", { kind: "too-short" }],
    ["less than a header", `02 80 00 00 ${TIMES} ${ZERO12.slice(2)}`, { kind: "too-short" }],
    ["a request", MAP_REQUEST, { kind: "request" }],
    ["a success of version 1", `01 81 00 00 ${TIMES} ${ZERO12}`, { kind: "version", version: 1 }],
    ["an odd length", `02 80 00 00 ${TIMES} ${ZERO12} 00`, { kind: "length", length: 25 }],
    ["over 1,100 bytes", `02 80 00 00 ${"00".repeat(1100)}`, { kind: "length", length: 1104 }],
    ["opcode 3", `02 83 00 00 ${TIMES} ${ZERO12}`, { kind: "opcode", opcode: 3 }],
    ["MAP without its fields", `02 81 00 00 ${TIMES} ${ZERO12}`, { kind: "malformed" }],
    ["an option that is cut", `${successes[1]![2]} 02 00 0004`, { kind: "malformed" }],
  ];
  for (const [name, bytes, error] of errors) {
    test(`refuses ${name}`, () => {
      expect(decodePcpResponse(hex(bytes))).toEqual({ ok: false, error });
    });
  }

  test("a success without options, cut anywhere, is an error", () => {
    for (const [, , text] of successes.filter(([name]) => !name.includes("options"))) {
      const bytes = hex(text);
      for (let length = 0; length < bytes.length; length++) {
        expect(decodePcpResponse(bytes.subarray(0, length)).ok).toBe(false);
      }
    }
  });
});

test("any request's refusal leads the client back to its mapping", () => {
  const result = fc.integer({ min: 2, max: 13 }) as fc.Arbitrary<PcpRefusal["result"]>;
  const field = fc.nat(65535);
  fc.assert(
    fc.property(result, field, field, fc.boolean(), (code, internalPort, externalPort, parsed) => {
      const asked = { ...map, internalPort, externalPort };
      const request = encodePcpRequest({ lifetimeSec: 60, clientAddress: "192.168.0.5", body: asked });
      if (!request.ok) throw new Error(request.error.kind);
      const answer = encodePcpRefusal({ kind: "refusal", result: code, request: request.value, parsed }, times);
      const expected = {
        kind: "refused",
        ...times,
        result: code,
        opcode: "map",
        mapping: { ...mapping, internalPort, externalPort },
      };
      expect(decodePcpResponse(answer)).toEqual({ ok: true, value: expected as PcpResponse });
    }),
  );
});

test("any bytes: what is to be answered has an answer, and responses give a value or an error", () => {
  const start = fc.constantFrom("", "02", "03", MAP_REQUEST, `02 81 00 00 ${TIMES} ${ZERO12} ${mapBytes}`);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 64 }), (prefix, tail) => {
      const bytes = Uint8Array.of(...hex(prefix), ...tail);
      expect(typeof decodePcpResponse(bytes).ok).toBe("boolean");
      const request = decodePcpRequest(bytes);
      if (request.ok || request.error.kind !== "refusal") return;
      const answer = encodePcpRefusal(request.error, times);
      expect(answer.length % 4).toBe(0);
      expect(answer.length).toBeGreaterThanOrEqual(24);
    }),
    { numRuns: 1000, seed: 6887 },
  );
});
