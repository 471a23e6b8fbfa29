import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressFromBytes, type Cidr, parseCidr } from "../address.ts";
import type { PcpBody, PcpEncodeError, PcpFilter, PcpMap, PcpPeer } from "./message.ts";
import { PcpProtocol, PcpResult } from "./message.ts";
import { decodePcpRequest, encodePcpRequest, type PcpRefusal, type PcpRequest } from "./request.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const plain = (text: string): string => text.replaceAll(" ", "");

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

function encoded(request: PcpRequest): Uint8Array {
  const bytes = encodePcpRequest(request);
  if (!bytes.ok) throw new Error(bytes.error.kind);
  return bytes.value;
}

const NONCE = "0102030405060708090a0b0c";
const V4 = "00000000000000000000ffff";
const HOST = `${V4} c0a80005`;
const HOST_V6 = "20010db8000000000000000000000005";

/** §7.1, figure 2; opcode and lifetime differ. */
const head = (opcode: string, lifetime: string, client = HOST) => `02 ${opcode} 0000 ${lifetime} ${client}`;
/** §11.1, figure 9. */
const mapBytes = `${NONCE} 06 000000 1234 5678 ${V4} c0000207`;
/** §12.1, figure 11. */
const peerBytes = `${NONCE} 11 000000 1234 0000 ${V4} 00000000 0035 0000 ${V4} c6336402`;
/** §13.1 to 13.3, figures 13 to 15. */
const thirdParty = `01 00 0010 ${V4} c0a80009`;
const preferFailure = "02 00 0000";
const filter = (prefix: string, port: string, address: string) => `03 00 0014 00 ${prefix} ${port} ${address}`;
const filterV4 = filter("78", "0000", `${V4} c6336400`);

const map: PcpMap = {
  opcode: "map",
  nonce: NONCE,
  protocol: PcpProtocol.tcp,
  internalPort: 4660,
  externalPort: 22136,
  externalAddress: "192.0.2.7",
  thirdParty: null,
  preferFailure: false,
  filters: [],
};
const peer: PcpPeer = {
  opcode: "peer",
  nonce: NONCE,
  protocol: PcpProtocol.udp,
  internalPort: 4660,
  externalPort: 0,
  externalAddress: "0.0.0.0",
  remotePort: 53,
  remoteAddress: "198.51.100.2",
  thirdParty: null,
};
const ask = (body: PcpBody, lifetimeSec = 7200, clientAddress = "192.168.0.5"): PcpRequest => ({
  lifetimeSec,
  clientAddress,
  body,
});
const MAP = `${head("01", "00001c20")} ${mapBytes}`;
const PEER = `${head("02", "00001c20")} ${peerBytes}`;
const ANNOUNCE = head("00", "00000000");

const requests: [name: string, request: PcpRequest, bytes: string][] = [
  ["ANNOUNCE", ask({ opcode: "announce" }, 0), ANNOUNCE],
  ["MAP", ask(map), MAP],
  [
    "MAP from IPv6, for as long as can be",
    ask({ ...map, externalAddress: "::" }, 0xffff_ffff, "2001:db8::5"),
    `${head("01", "ffffffff", HOST_V6)} ${NONCE} 06 000000 1234 5678 ${"00".repeat(16)}`,
  ],
  [
    "MAP of every protocol, deleted",
    ask({ ...map, protocol: PcpProtocol.all, internalPort: 0, externalPort: 0, externalAddress: "0.0.0.0" }, 0),
    `${head("01", "00000000")} ${NONCE} 00 000000 0000 0000 ${V4} 00000000`,
  ],
  ["MAP with THIRD_PARTY", ask({ ...map, thirdParty: "192.168.0.9" }), `${MAP} ${thirdParty}`],
  ["MAP with PREFER_FAILURE", ask({ ...map, preferFailure: true }), `${MAP} ${preferFailure}`],
  [
    "MAP with everything",
    ask({
      ...map,
      thirdParty: "192.168.0.9",
      preferFailure: true,
      filters: [
        { remote: null, remotePort: 0 },
        { remote: cidr("198.51.100.0/24"), remotePort: 0 },
        { remote: cidr("2001:db8::/32"), remotePort: 443 },
      ],
    }),
    `${MAP} ${thirdParty} ${preferFailure} ${filter("00", "0000", "00".repeat(16))} ${filterV4} ${filter("20", "01bb", `20010db8${"00".repeat(12)}`)}`,
  ],
  ["PEER", ask(peer), PEER],
  ["PEER with THIRD_PARTY", ask({ ...peer, thirdParty: "192.168.0.9" }), `${PEER} ${thirdParty}`],
];

describe("requests", () => {
  for (const [name, request, bytes] of requests) {
    test(name, () => {
      expect(encoded(request).toHex()).toBe(plain(bytes));
      expect(decodePcpRequest(hex(bytes))).toEqual({ ok: true, value: request });
    });
  }

  const decodes: [name: string, bytes: string, request: PcpRequest][] = [
    ["reserved fields are ignored", `02 01 ffff 00001c20 ${HOST} ${mapBytes.replace("000000", "ffffff")}`, ask(map)],
    ["an unknown option of 128 and above is ignored", `${MAP} 80 00 0004 01020304`, ask(map)],
    ["and so is its padding", `${MAP} ff 00 0001 01ffffff ${preferFailure}`, ask({ ...map, preferFailure: true })],
    [
      "options in any order",
      `${MAP} ${filterV4} ${preferFailure} ${thirdParty}`,
      ask({
        ...map,
        thirdParty: "192.168.0.9",
        preferFailure: true,
        filters: [{ remote: cidr("198.51.100.0/24"), remotePort: 0 }],
      }),
    ],
    [
      "prefix length 0 makes the rest of FILTER meaningless (erratum 3891)",
      `${MAP} ${filter("00", "01bb", `${V4} c6336402`)}`,
      ask({ ...map, filters: [{ remote: null, remotePort: 0 }] }),
    ],
    [
      "the bits of a FILTER's address after its prefix are dropped",
      `${MAP} ${filter("78", "01bb", `${V4} c6336402`)}`,
      ask({ ...map, filters: [{ remote: cidr("198.51.100.0/24"), remotePort: 443 }] }),
    ],
    [
      "prefix length 96 is all of IPv4",
      `${MAP} ${filter("60", "0035", `${V4} c6336402`)}`,
      ask({ ...map, filters: [{ remote: cidr("0.0.0.0/0"), remotePort: 53 }] }),
    ],
    [
      "prefix length 128 is one host",
      `${MAP} ${filter("80", "0035", `${V4} c6336402`)} ${filter("80", "0000", HOST_V6)}`,
      ask({
        ...map,
        filters: [
          { remote: cidr("198.51.100.2/32"), remotePort: 53 },
          { remote: cidr("2001:db8::5/128"), remotePort: 0 },
        ],
      }),
    ],
    ["a protocol without ports is the server's to judge", MAP.replace(" 06 ", " 2f "), ask({ ...map, protocol: 47 })],
  ];
  for (const [name, bytes, request] of decodes) {
    test(name, () => {
      expect(decodePcpRequest(hex(bytes))).toEqual({ ok: true, value: request });
    });
  }

  test("the longest request holds 43 filters, and no more", () => {
    const filters: PcpFilter[] = Array.from({ length: 43 }, (_, port) => ({
      remote: cidr("192.0.2.0/24"),
      remotePort: port,
    }));
    const bytes = encoded(ask({ ...map, filters }));
    expect(bytes.length).toBe(24 + 36 + 43 * 24);
    expect(decodePcpRequest(bytes)).toEqual({ ok: true, value: ask({ ...map, filters }) });
    const more = ask({ ...map, filters: [...filters, { remote: null, remotePort: 0 }] });
    expect(encodePcpRequest(more)).toEqual({ ok: false, error: { kind: "too-long" } });
  });

  const unsayable: [name: string, request: PcpRequest, kind: PcpEncodeError["kind"]][] = [
    ["a client without an address", ask(map, 1, "router"), "address"],
    ["an external name", ask({ ...map, externalAddress: "example.com" }), "address"],
    ["a third party by name", ask({ ...map, thirdParty: "" }), "address"],
    ["a remote peer by name", ask({ ...peer, remoteAddress: "example.com" }), "address"],
    ["a short nonce", ask({ ...map, nonce: "01" }), "nonce"],
    ["a nonce that is not hexadecimal", ask({ ...peer, nonce: "z".repeat(24) }), "nonce"],
    ["a filter for all of IPv6", ask({ ...map, filters: [{ remote: cidr("::/0"), remotePort: 53 }] }), "filter"],
  ];
  for (const [name, request, kind] of unsayable) {
    test(`cannot say ${name}`, () => {
      expect(encodePcpRequest(request)).toEqual({ ok: false, error: { kind } });
    });
  }
});

describe("not answered (§8.2)", () => {
  const table: [name: string, bytes: string, kind: "too-short" | "response"][] = [
    ["nothing", "", "too-short"],
    ["one byte", "02", "too-short"],
    ["less than a header", ANNOUNCE.slice(0, -2), "too-short"],
    ["a response", head("81", "00000000"), "response"],
    ["a response of another version", "01 81", "response"],
  ];
  for (const [name, bytes, kind] of table) {
    test(name, () => {
      expect(decodePcpRequest(hex(bytes))).toEqual({ ok: false, error: { kind } });
    });
  }
});

describe("refused", () => {
  const { unsupportedVersion, unsupportedOpcode, malformedRequest, unsupportedOption, malformedOption } = PcpResult;
  const table: [name: string, bytes: string, result: PcpRefusal["result"]][] = [
    ["version 1", `01 01 ${"00".repeat(22)}`, unsupportedVersion],
    ["version 3, of no more than two bytes", "03 00", unsupportedVersion],
    ["NAT-PMP", "00 00", unsupportedVersion],
    ["version before length", `03 00 ${"00".repeat(1100)}`, unsupportedVersion],
    ["a length that is no multiple of 4", `${MAP} 00`, malformedRequest],
    ["over 1,100 bytes", `${MAP} ${"80000000".repeat(261)}`, malformedRequest],
    ["length before opcode", `${head("03", "00000000")} 00`, malformedRequest],
    ["opcode 3", `${head("03", "00000000")} 00000000`, unsupportedOpcode],
    ["opcode 127", head("7f", "00000000"), unsupportedOpcode],
    ["MAP of no more than a header", head("01", "00000000"), malformedRequest],
    ["MAP that lacks its last word", MAP.slice(0, -8), malformedRequest],
    ["PEER that lacks its last word", PEER.slice(0, -8), malformedRequest],
    ["MAP of every protocol with a port", MAP.replace(" 06 ", " 00 "), malformedRequest],
    ["PEER of every protocol with a port", PEER.replace(" 11 ", " 00 "), malformedRequest],
    ["option 0", `${MAP} 00 00 0000`, unsupportedOption],
    ["option 4", `${MAP} 04 00 0000`, unsupportedOption],
    ["option 127", `${PEER} 7f 00 0004 01020304`, unsupportedOption],
    ["an unknown option of ANNOUNCE", `${ANNOUNCE} 7f 00 0000`, unsupportedOption],
    ["an option longer than the message", `${MAP} 80 00 0004`, malformedOption],
    ["the longest option", `${MAP} 02 00 ffff`, malformedOption],
    ["options that cannot be told apart, before an unknown one", `${MAP} 7f 00 0000 80 00 0001`, malformedOption],
    ["THIRD_PARTY of 4 bytes", `${MAP} 01 00 0004 c0a80009`, malformedOption],
    ["THIRD_PARTY of 15 bytes", `${MAP} 01 00 000f ${V4} c0a80009`, malformedOption],
    ["THIRD_PARTY twice", `${MAP} ${thirdParty} ${thirdParty}`, malformedOption],
    ["THIRD_PARTY of ANNOUNCE", `${ANNOUNCE} ${thirdParty}`, malformedOption],
    ["PREFER_FAILURE with data", `${MAP} 02 00 0004 00000000`, malformedOption],
    ["PREFER_FAILURE twice", `${MAP} ${preferFailure} ${preferFailure}`, malformedOption],
    ["PREFER_FAILURE of PEER", `${PEER} ${preferFailure}`, malformedOption],
    ["PREFER_FAILURE of ANNOUNCE", `${ANNOUNCE} ${preferFailure}`, malformedOption],
    ["FILTER of PEER", `${PEER} ${filterV4}`, malformedOption],
    ["FILTER of 16 bytes", `${MAP} 03 00 0010 ${"00".repeat(16)}`, malformedOption],
    ["FILTER with prefix length 95 of IPv4", `${MAP} ${filter("5f", "0000", `${V4} c6336402`)}`, malformedOption],
    ["FILTER with prefix length 129 of IPv4", `${MAP} ${filter("81", "0000", `${V4} c6336402`)}`, malformedOption],
    ["FILTER with prefix length 129 of IPv6", `${MAP} ${filter("81", "0000", HOST_V6)}`, malformedOption],
  ];
  for (const [name, bytes, result] of table) {
    test(name, () => {
      const request = hex(bytes);
      expect(decodePcpRequest(request)).toEqual({
        ok: false,
        error: { kind: "refusal", result, request, parsed: false },
      });
    });
  }
});

const port = fc.nat(65535);
const seconds = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const address = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), bytes16)
  .map((bytes) => addressFromBytes(bytes) ?? "");
const remote = fc.tuple(address, fc.integer({ min: 1, max: 128 })).map(([text, bits]) => {
  return cidr(`${text}/${text.includes(":") ? bits : bits % 33}`);
});
const mapping = {
  nonce: fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => bytes.toHex()),
  protocol: fc.integer({ min: 1, max: 255 }),
  internalPort: port,
  externalPort: port,
  externalAddress: address,
  thirdParty: fc.option(address),
};
const body: fc.Arbitrary<PcpBody> = fc.oneof(
  fc.constant({ opcode: "announce" } as const),
  fc.record({
    ...mapping,
    opcode: fc.constant("map" as const),
    preferFailure: fc.boolean(),
    filters: fc.array(fc.oneof(fc.constant({ remote: null, remotePort: 0 }), fc.record({ remote, remotePort: port })), {
      maxLength: 40,
    }),
  }),
  fc.record({ ...mapping, opcode: fc.constant("peer" as const), remotePort: port, remoteAddress: address }),
);
const anyRequest = fc.record({ lifetimeSec: seconds, clientAddress: address, body });

test("round trip of any request", () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const bytes = encoded(request);
      expect(bytes.length % 4).toBe(0);
      expect(decodePcpRequest(bytes)).toEqual({ ok: true, value: request });
    }),
  );
});

/** A cut at the end of an option leaves a shorter request that is whole. */
test("cut anywhere else, a request is refused or not answered", () => {
  for (const [name, , text] of requests) {
    const bytes = hex(text);
    const size = { "00": 24, "01": 60, "02": 80 }[text.slice(3, 5)] ?? 0;
    for (let length = 0; length < bytes.length; length++) {
      const decoded = decodePcpRequest(bytes.subarray(0, length));
      if (decoded.ok) {
        expect(length).toBeGreaterThanOrEqual(size);
        expect(encoded(decoded.value).toHex(), name).toBe(bytes.subarray(0, length).toHex());
      } else if (length < 24) expect(decoded.error.kind).toBe("too-short");
      else expect(decoded.error).toMatchObject({ kind: "refusal", request: bytes.subarray(0, length) });
    }
  }
});

test("any bytes give a value or an error", () => {
  const start = fc.constantFrom("", "02", "0200", ANNOUNCE, MAP, PEER, `${MAP}0300001400`);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 64 }), (prefix, tail) => {
      const decoded = decodePcpRequest(Uint8Array.of(...hex(prefix), ...tail));
      expect(typeof decoded.ok).toBe("boolean");
    }),
    { numRuns: 1000, seed: 6887 },
  );
});
