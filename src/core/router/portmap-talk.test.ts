import { describe, expect, test } from "bun:test";
import type { NatPmpResponse } from "../../wire/natpmp.ts";
import { encodeNatPmpResponse } from "../../wire/natpmp.ts";
import type { PcpMap } from "../../wire/pcp/message.ts";
import { encodePcpRefusal, encodePcpSuccess } from "../../wire/pcp/response.ts";
import {
  decodeAnswer,
  encodeQuestion,
  epochSecOf,
  isAnnouncement,
  keyOf,
  matchOf,
  type PortMapAnswer,
  type PortMapQuestion,
} from "./portmap-talk.ts";

const NONCE = "0102030405060708090a0b0c";
const BODY: PcpMap = {
  opcode: "map",
  nonce: NONCE,
  protocol: 6,
  internalPort: 80,
  externalPort: 8080,
  externalAddress: "0.0.0.0",
  thirdParty: null,
  preferFailure: false,
  filters: [],
};
const questions = {
  address: { protocol: "nat-pmp", request: { kind: "external-address" } },
  tcp: {
    protocol: "nat-pmp",
    request: { kind: "map", protocol: "tcp", internalPort: 80, externalPort: 8080, lifetimeSec: 60 },
  },
  udp: {
    protocol: "nat-pmp",
    request: { kind: "map", protocol: "udp", internalPort: 80, externalPort: 8080, lifetimeSec: 60 },
  },
  announce: {
    protocol: "pcp",
    request: { lifetimeSec: 0, clientAddress: "192.168.1.20", body: { opcode: "announce" } },
  },
  map: { protocol: "pcp", request: { lifetimeSec: 60, clientAddress: "192.168.1.20", body: BODY } },
} satisfies Record<string, PortMapQuestion>;

const natPmp = (response: NatPmpResponse): Uint8Array => encodeNatPmpResponse(response);
const success = (body: PcpMap | { readonly opcode: "announce" }, lifetimeSec = 60): Uint8Array => {
  const encoded = encodePcpSuccess({ kind: "success", lifetimeSec, epochSec: 7, body });
  if (!encoded.ok) throw new Error(encoded.error.kind);
  return encoded.value;
};
const refusal = (question: keyof typeof questions): Uint8Array => {
  const request = encodeQuestion(questions[question]) ?? new Uint8Array();
  return encodePcpRefusal({ kind: "refusal", result: 2, request, parsed: true }, { lifetimeSec: 60, epochSec: 7 });
};
const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const read = (datagram: Uint8Array): PortMapAnswer => {
  const answer = decodeAnswer(datagram);
  if (answer === null) throw new Error("no answer");
  return answer;
};

/** The bytes of an answer, the questions that it answers, and its epoch. */
const rows: [name: string, datagram: Uint8Array, answers: string[], epochSec: number | null][] = [
  ["an address", natPmp({ kind: "external-address", address: "203.0.113.5", epochSec: 7 }), ["address"], 7],
  [
    "a mapping of TCP",
    natPmp({ kind: "map", protocol: "tcp", internalPort: 80, externalPort: 1, lifetimeSec: 1, epochSec: 7 }),
    ["tcp"],
    7,
  ],
  [
    "of another port",
    natPmp({ kind: "map", protocol: "tcp", internalPort: 81, externalPort: 8080, lifetimeSec: 1, epochSec: 7 }),
    [],
    7,
  ],
  [
    "a failure of UDP",
    natPmp({ kind: "failure", result: 2, request: { kind: "map", protocol: "udp", internalPort: 80 }, epochSec: 7 }),
    ["udp"],
    7,
  ],
  [
    "a failure of the address",
    natPmp({ kind: "failure", result: 3, request: { kind: "external-address" }, epochSec: 7 }),
    ["address"],
    7,
  ],
  ["no such operation: UDP", hex("00 81 0005 00000007"), ["udp"], 7],
  ["no such operation: the address", hex("00 80 0005 00000007"), ["address"], 7],
  ["NAT-PMP alone (erratum 3618)", hex("00 80 0001 00000007"), ["announce", "map"], null],
  ["NAT-PMP alone, as the RFC's figure has it", hex("00 00 0001 00000007"), ["announce", "map"], null],
  ["PCP alone", hex(`02 80 0001 00000708 00000007 ${"00".repeat(12)}`), ["address", "tcp", "udp"], null],
  ["PCP, and only version 1", hex(`01 80 0001 00000708 00000007 ${"00".repeat(12)}`), ["announce", "map"], null],
  ["ANNOUNCE", success({ opcode: "announce" }), ["announce"], 7],
  ["ANNOUNCE refused", refusal("announce"), ["announce"], 7],
  ["MAP", success(BODY), ["map"], 7],
  ["MAP refused", refusal("map"), ["map"], 7],
  ["MAP of UDP", success({ ...BODY, protocol: 17 }), [], 7],
  ["MAP of another port", success({ ...BODY, internalPort: 81 }), [], 7],
];

describe("which question an answer is to", () => {
  test.each(rows)("%s", (_, datagram, expected, epochSec) => {
    const answer = read(datagram);
    const answered = Object.entries(questions).filter(([, question]) => matchOf(question, answer) === "yes");
    expect(answered.map(([name]) => name)).toEqual(expected);
    expect(epochSecOf(answer)).toBe(epochSec);
  });

  test("the end of a mapping is not answered by what answered its making once more", () => {
    const end = {
      tcp: { ...questions.tcp, request: { ...questions.tcp.request, lifetimeSec: 0 } },
      map: { ...questions.map, request: { ...questions.map.request, lifetimeSec: 0 } },
    };
    const mapped = { kind: "map", protocol: "tcp", internalPort: 80, externalPort: 8080, epochSec: 7 } as const;
    expect(matchOf(end.tcp, read(natPmp({ ...mapped, lifetimeSec: 60 })))).toBe("no");
    expect(matchOf(end.tcp, read(natPmp({ ...mapped, externalPort: 0, lifetimeSec: 0 })))).toBe("yes");
    expect(matchOf(end.map, read(success(BODY)))).toBe("no");
    expect(matchOf(end.map, read(success(BODY, 0)))).toBe("yes");
    expect(matchOf(end.map, read(refusal("map")))).toBe("yes");
  });

  test("another nonce is told apart from another mapping", () => {
    const nonce = "ff".repeat(12);
    expect(matchOf(questions.map, read(success({ ...BODY, nonce })))).toBe("other-nonce");
    expect(matchOf(questions.map, read(success({ ...BODY, nonce, internalPort: 81 })))).toBe("no");
    expect(matchOf(questions.announce, read(success({ ...BODY, nonce })))).toBe("no");
  });
});

test("whatever is cut is no answer, or none of another kind", () => {
  for (const [, datagram, expected] of rows) {
    for (let length = 0; length < datagram.length; length++) {
      const answer = decodeAnswer(datagram.subarray(0, length));
      if (answer === null) continue;
      const answered = Object.entries(questions).filter(([, question]) => matchOf(question, answer) === "yes");
      expect(expected).toEqual(answered.map(([name]) => name));
    }
  }
});

test.each(["", "00", "00 00", "02 00 0000", "00 01 0000 0050 1f90 0000003c", "ff".repeat(24)])(
  "%p is no answer",
  (text) => {
    expect(decodeAnswer(hex(text))).toBeNull();
  },
);

test("questions that have the same answers have one key", () => {
  expect(Object.values(questions).map(keyOf)).toEqual([
    "nat-pmp address",
    "nat-pmp tcp 80",
    "nat-pmp udp 80",
    "pcp announce",
    "pcp map 6 80 ",
  ]);
  const thirdParty = {
    ...questions.map,
    request: { ...questions.map.request, body: { ...BODY, thirdParty: "192.168.1.9" } },
  };
  expect(keyOf(thirdParty)).toBe("pcp map 6 80 192.168.1.9");
});

test("only what a server says to all is an announcement", () => {
  const announcements = rows.filter(([, datagram]) => isAnnouncement(read(datagram))).map(([name]) => name);
  expect(announcements).toEqual(["an address", "ANNOUNCE"]);
});

test("what cannot be written is no question", () => {
  const body = { ...BODY, nonce: "x" };
  expect(encodeQuestion({ protocol: "pcp", request: { ...questions.map.request, body } })).toBeNull();
  expect(encodeQuestion(questions.address)).toEqual(hex("0000"));
});
