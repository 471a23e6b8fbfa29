import type { MapAsk, MappingInfo, PinholeAsk } from "../../src/core/mapping/desk.ts";
import { NAT_PMP_LIFETIME, PCP_LIFETIME } from "../../src/core/mapping/lifetime.ts";
import { type MappingRefusalKind, REFUSAL_CODES } from "../../src/core/mapping/refusal.ts";
import { answerDatagram } from "../../src/servers/portmap/dialogue.ts";
import { MAX_REMOTES } from "../../src/servers/portmap/pcp-remotes.ts";
import type { DeskView, Question } from "../../src/servers/portmap/reply.ts";
import { isIpv6, parseCidr } from "../../src/wire/address.ts";
import {
  HEADER_BYTES,
  isAligned,
  MAX_MESSAGE_BYTES,
  Opcode,
  PCP_VERSION,
  RESPONSE_BIT,
} from "../../src/wire/pcp/message.ts";
import { type FuzzCodec, hex, must, mustEqual } from "./codec.ts";

/** The first byte of an input: what the server speaks, who asks, and what there is. The rest is the datagram. */
const FLAG = { natPmp: 1, pcp: 2, thirdParty: 4, ipv6: 8, noExternal: 16, filtered: 32 } as const;
const ALL = "07";
const V4 = "00000000000000000000ffff";
const CLIENT = { v4: "192.168.0.5", v6: "2001:db8::5" } as const;
const CLIENT6_HEX = "20010db8000000000000000000000005";
const NONCE = "0102030405060708090a0b0c";
/** §3.3 of RFC 6886: the answer to a mapping, which has 4 bytes more than its request. */
const LONGEST_NAT_PMP_BYTES = 16;
const NONCE_AT = HEADER_BYTES;
const PROTOCOL_AT = HEADER_BYTES + 12;
const PORT_AT = HEADER_BYTES + 16;

const MAP = `${NONCE} 06000000 1234 5678 ${V4} c0000207`;
const PEER = `${NONCE} 11000000 1234 0000 ${V4} 00000000 0035 0000 ${V4} c6336407`;
const FILTERS = `03 00 0014 00 78 01bb ${V4} c6336400 03 00 0014 00 00 0000 ${"00".repeat(16)}`;
const head = (opcode: string, client = `${V4} c0a80005`) => `02 ${opcode} 0000 00001c20 ${client}`;

/** Whatever comes, there is at most one answer, and it is one that the sender may have. */
export const portmap: readonly FuzzCodec[] = [
  {
    name: "portmap-answer",
    seeds: hex(
      `${ALL} 00 00`,
      `${ALL} 00 01 0000 1234 5678 00001c20`,
      `${ALL} 00 02 0000 0000 0001 0000003c`,
      `${ALL} 00 02 0000 1234 0000 00000000`,
      `${ALL} 00 03 0000 00000000 0102`,
      `${ALL} 00 80 0000 00000102 c0000207`,
      `01 02 01 0000 00001c20`,
      `02 00 00`,
      `${ALL} ${head("00")}`,
      `${ALL} ${head("01")} ${MAP}`,
      `${ALL} ${head("01")} ${MAP} 02000000 ${FILTERS}`,
      `27 ${head("01")} ${MAP} ${FILTERS}`,
      `${ALL} ${head("01")} ${MAP} 01 00 0010 ${V4} c0a80009`,
      `${ALL} ${head("01")} ${MAP} 80 00 0001 01000000 7f000000`,
      `${ALL} ${head("02")} ${PEER}`,
      `0f ${head("01", CLIENT6_HEX)} ${NONCE} 06000000 1234 0000 ${"00".repeat(16)}`,
      `0f ${head("02", CLIENT6_HEX)} ${NONCE} 06000000 1234 0000 ${"00".repeat(16)} 0035 0000 20010db8000000000000000000000009`,
      `17 ${head("01")} ${MAP}`,
      `${ALL} 02 01 0000 00000000 ${V4} c0a80005 ${MAP}`,
      `${ALL} 02 81 0000 00000e10 00000102 ${"00".repeat(12)} ${MAP}`,
      `${ALL} 01 01 0000 00001c20`,
    ),
    check(input) {
      const flags = input[0] ?? 0;
      const has = (flag: number) => (flags & flag) !== 0;
      const datagram = input.slice(1);
      const before = datagram.slice();
      const requester = has(FLAG.ipv6) ? CLIENT.v6 : CLIENT.v4;
      const rules = { natPmp: has(FLAG.natPmp), pcp: has(FLAG.pcp), thirdParty: has(FLAG.thirdParty) };
      const reply = answerDatagram(datagram, requester, viewOf(requester, flags), rules);
      const answers = reply.kind === "silence" ? [] : reply.kind === "answer" ? [reply.bytes] : outcomesOf(reply);
      mustEqual(datagram, before, "the request stays as it was");
      if (((datagram[1] ?? RESPONSE_BIT) & RESPONSE_BIT) !== 0) must(answers.length === 0, "a response has no answer");
      for (const answer of answers) mustBeAnswer(answer, datagram, rules);
      if (reply.kind === "silence" || reply.kind === "answer") return reply.kind === "answer";
      mustBeOwn(reply, requester, rules.thirdParty);
      return true;
    },
  },
];

function viewOf(requester: string, flags: number): DeskView {
  const network = parseCidr(isIpv6(requester) ? "2001:db8:1::/48" : "198.51.100.0/24");
  if (!network.ok) throw new Error(network.error.message);
  const remotes = (flags & FLAG.filtered) === 0 ? [] : [{ network: network.value, port: 443 }];
  const held = (["tcp", "udp"] as const).map((protocol) => infoOf(protocol, requester, remotes));
  return {
    externalAddress: () => ((flags & FLAG.noExternal) === 0 ? "203.0.113.20" : null),
    epochSec: () => 0xffff_ffff,
    list: () => held,
    pinholes: () => held,
  };
}

function infoOf(protocol: MappingInfo["protocol"], address: string, remotes: MappingInfo["remotes"]): MappingInfo {
  return {
    id: protocol,
    protocol,
    externalPort: 65_535,
    lastExternalPort: 65_535,
    internalAddress: address,
    internalPort: 0x1234,
    description: "",
    enabled: true,
    remotes,
    remainingSec: 1.5,
    fixed: false,
    nonce: NONCE,
  };
}

/** Each answer that this question may get. */
function outcomesOf(question: Question): Uint8Array[] {
  const done = question.kind === "unmap" ? question.done(null) : question.done(infoOf("udp", CLIENT.v4, []));
  const refused = Object.keys(REFUSAL_CODES).map((kind) =>
    question.refused({ kind: kind as MappingRefusalKind, message: "", heldForSec: 0.5 }),
  );
  return [done, ...refused, question.failed()];
}

function mustBeAnswer(answer: Uint8Array, request: Uint8Array, rules: { natPmp: boolean; pcp: boolean }): void {
  const [version, opcode = 0] = answer;
  must((opcode & RESPONSE_BIT) !== 0, "an answer is a response");
  must(answer.length <= MAX_MESSAGE_BYTES, "an answer has at most 1,100 bytes");
  if (version === 0) {
    must(rules.natPmp, "NAT-PMP speaks only where it is on");
    must(answer.length <= Math.max(request.length, LONGEST_NAT_PMP_BYTES), "an answer does not amplify");
    if (request[0] === 0) must(opcode === ((request[1] ?? 0) | RESPONSE_BIT), "the opcode is the request's");
    return;
  }
  must(version === PCP_VERSION && rules.pcp, "PCP speaks only where it is on");
  must(isAligned(answer.length) && answer.length >= HEADER_BYTES, "the length of a message of PCP");
  must(answer.length <= Math.max(align4(request.length), HEADER_BYTES), "an answer does not amplify");
  must(opcode === ((request[1] ?? 0) | RESPONSE_BIT), "the opcode is the request's");
  if (request[1] !== Opcode.announce && request.length >= PORT_AT + 2) {
    mustEqual(answer.slice(NONCE_AT, PROTOCOL_AT + 1), request.slice(NONCE_AT, PROTOCOL_AT + 1), "nonce and protocol");
    mustEqual(answer.slice(PORT_AT, PORT_AT + 2), request.slice(PORT_AT, PORT_AT + 2), "the internal port");
  }
}

/** §8.2: a refusal is padded to a multiple of 4. */
const align4 = (bytes: number): number => Math.min(MAX_MESSAGE_BYTES, Math.ceil(bytes / 4) * 4);

/** What the desk is asked is for the one that asks, within the protocol's bounds. */
function mustBeOwn(question: Question, requester: string, thirdParty: boolean): void {
  const asked = question.kind === "unmap" ? question.request : question.ask;
  must(asked.requester === requester, "the requester is the source");
  must(asked.internalAddress === requester || thirdParty, "a client asks for itself");
  if (question.kind === "unmap") return;
  const ask: MapAsk | PinholeAsk = question.ask;
  const { minSec } = "ask" in ask && ask.ask.via === "natPmp" ? NAT_PMP_LIFETIME : PCP_LIFETIME;
  const { lifetimeSec, remotes } = ask;
  must(lifetimeSec !== null && lifetimeSec >= minSec && lifetimeSec <= PCP_LIFETIME.maxSec, "a lifetime in its bounds");
  must(remotes.length <= MAX_REMOTES, "remote peers are bounded");
  const v6 = isIpv6(ask.internalAddress);
  must(
    remotes.every(({ network }) => isIpv6(network) === v6),
    "remote peers are of the client's family",
  );
  must((question.kind === "pin") === v6, "IPv6 is a pinhole");
}
