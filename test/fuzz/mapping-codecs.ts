import {
  decodeNatPmpRequest,
  decodeNatPmpResponse,
  encodeNatPmpRequest,
  encodeNatPmpResponse,
} from "../../src/wire/natpmp.ts";
import { HEADER_BYTES, isAligned, MAX_MESSAGE_BYTES, PCP_VERSION, PcpResult } from "../../src/wire/pcp/message.ts";
import { decodePcpRequest, encodePcpRequest, type PcpRefusal } from "../../src/wire/pcp/request.ts";
import { decodePcpResponse, encodePcpRefusal, encodePcpSuccess } from "../../src/wire/pcp/response.ts";
import { type FuzzCodec, hex, must, mustBeResult, mustBeSmall, mustEqual } from "./codec.ts";

const TIMES = { lifetimeSec: 3600, epochSec: 0xffff_ffff };
const V4 = "00000000000000000000ffff";
const NONCE = "0102030405060708090a0b0c";
const MAP = `${NONCE} 06000000 1234 5678 ${V4} c0000207`;
const PEER = `${NONCE} 11000000 1234 0000 ${V4} 00000000 0035 0000 20010db8000000000000000000000005`;
const THIRD_PARTY = `01 00 0010 ${V4} c0a80009`;
const FILTERS = `03 00 0014 00 78 01bb ${V4} c6336400 03 00 0014 00 20 0000 20010db8${"00".repeat(12)}`;
const REQUEST_HEAD = (opcode: string) => `02 ${opcode} 0000 00001c20 ${V4} c0a80005`;
const RESPONSE_HEAD = (opcode: string, result: string) =>
  `02 ${opcode} 00 ${result} 00000e10 00000102 ${"00".repeat(12)}`;

export const mapping: readonly FuzzCodec[] = [
  {
    name: "nat-pmp-request",
    seeds: hex("00 00", "00 01 0000 1234 5678 00001c20", "00 02 0000 0000 0000 00000000", "00 03 0000 00000000 0102"),
    check(input) {
      const decoded = decodeNatPmpRequest(input);
      mustBeResult(decoded);
      if (decoded.ok) {
        mustEqual(decodeNatPmpRequest(encodeNatPmpRequest(decoded.value)), decoded, "decoding what was encoded");
        return true;
      }
      const { error } = decoded;
      if (error.kind === "too-short" || error.kind === "response") return false;
      const answer = { ...error, epochSec: TIMES.epochSec };
      const bytes = encodeNatPmpResponse(answer);
      mustBeSmall(bytes.length, input.length);
      mustEqual(decodeNatPmpResponse(bytes), { ok: true, value: answer }, "the answer to what is not supported");
      return true;
    },
  },
  {
    name: "nat-pmp-response",
    seeds: hex(
      "00 80 0000 00000102 c0000207",
      "00 81 0000 00000102 1234 5678 00001c20",
      "00 82 0002 00000102 1234 0000 00000000",
      "00 80 0001 00000102",
      "00 00 0001 00000102",
      "00 83 0005 00000102 0a0b0c",
    ),
    check(input) {
      const decoded = decodeNatPmpResponse(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const encoded = encodeNatPmpResponse(decoded.value);
      mustBeSmall(encoded.length, input.length);
      mustEqual(decodeNatPmpResponse(encoded), decoded, "decoding what was encoded");
      return true;
    },
  },
  {
    name: "pcp-request",
    seeds: hex(
      REQUEST_HEAD("00"),
      `${REQUEST_HEAD("01")} ${MAP}`,
      `${REQUEST_HEAD("01")} ${MAP} ${THIRD_PARTY} 02000000 ${FILTERS}`,
      `${REQUEST_HEAD("01")} ${MAP} 80 00 0001 01000000 7f000000`,
      `${REQUEST_HEAD("02")} ${PEER} ${THIRD_PARTY}`,
      "01 01 0000 00001c20",
      REQUEST_HEAD("7f"),
    ),
    check(input) {
      const decoded = decodePcpRequest(input);
      mustBeResult(decoded);
      if (decoded.ok) {
        const encoded = encodePcpRequest(decoded.value);
        if (!encoded.ok) throw new Error("a decoded request encodes");
        must(encoded.value.length <= input.length, "nothing is added to a request");
        mustEqual(decodePcpRequest(encoded.value), decoded, "decoding what was encoded");
        const success = { kind: "success", ...TIMES, body: decoded.value.body } as const;
        const answer = encodePcpSuccess(success);
        if (!answer.ok) throw new Error("a request that is granted as it stands has an answer");
        mustEqual(decodePcpResponse(answer.value), { ok: true, value: success }, "granted as it stands");
        mustBeRefusable(input, PcpResult.notAuthorized, true);
        return true;
      }
      if (decoded.error.kind === "refusal") mustBeRefusable(input, decoded.error.result, false);
      return false;
    },
  },
  {
    name: "pcp-response",
    seeds: hex(
      RESPONSE_HEAD("80", "00"),
      `${RESPONSE_HEAD("81", "00")} ${MAP}`,
      `${RESPONSE_HEAD("81", "00")} ${MAP} ${THIRD_PARTY} 02000000 ${FILTERS} 7f000000`,
      `${RESPONSE_HEAD("82", "00")} ${PEER} ${THIRD_PARTY}`,
      `${RESPONSE_HEAD("81", "0b")} ${MAP} 02000000`,
      "00 80 0001 00000102",
    ),
    check(input) {
      const decoded = decodePcpResponse(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      if (decoded.value.kind !== "success") return true;
      const encoded = encodePcpSuccess(decoded.value);
      if (!encoded.ok) throw new Error("a decoded response encodes");
      must(encoded.value.length <= input.length, "nothing is added to a response");
      mustEqual(decodePcpResponse(encoded.value), decoded, "decoding what was encoded");
      return true;
    },
  },
];

/** Whatever came, its refusal is a message of PCP that says so. */
function mustBeRefusable(request: Uint8Array, result: PcpRefusal["result"], parsed: boolean): void {
  const before = request.slice();
  const bytes = encodePcpRefusal({ kind: "refusal", result, request, parsed }, TIMES);
  mustEqual(request, before, "the request stays as it was");
  must(
    isAligned(bytes.length) && bytes.length >= HEADER_BYTES && bytes.length <= MAX_MESSAGE_BYTES,
    "the length of a message",
  );
  const decoded = decodePcpResponse(bytes);
  // A client never sends an opcode that it does not know, nor less than the opcode needs.
  if (!decoded.ok) must(["opcode", "malformed"].includes(decoded.error.kind), "a refusal is a response");
  else if (decoded.value.kind === "refused") mustEqual(decoded.value.result, result, "the result of a refusal");
  else mustEqual(decoded.value, { kind: "unsupported-version", version: PCP_VERSION }, "the version of a refusal");
}
