import {
  decodeNatPmpResponse,
  encodeNatPmpRequest,
  mappingProtocolOf,
  type NatPmpRequest,
  type NatPmpResponse,
  natPmpOpcodeOf,
} from "../../wire/natpmp.ts";
import { PCP_VERSION } from "../../wire/pcp/message.ts";
import { encodePcpRequest, type PcpRequest } from "../../wire/pcp/request.ts";
import { decodePcpResponse, type PcpResponse } from "../../wire/pcp/response.ts";

/** The two protocols of one port (RFC 6887 §19): which of them an answer is of, and which question it answers. */
export type PortMapProtocol = "pcp" | "nat-pmp";

export type PortMapQuestion =
  | { readonly protocol: "nat-pmp"; readonly request: NatPmpRequest }
  | { readonly protocol: "pcp"; readonly request: PcpRequest };

export type PortMapAnswer =
  | { readonly protocol: "nat-pmp"; readonly response: NatPmpResponse }
  | { readonly protocol: "pcp"; readonly response: PcpResponse };

/** Null: it names something that is no address, or no nonce. */
export function encodeQuestion(question: PortMapQuestion): Uint8Array | null {
  if (question.protocol === "nat-pmp") return encodeNatPmpRequest(question.request);
  const encoded = encodePcpRequest(question.request);
  return encoded.ok ? encoded.value : null;
}

/** Null: nothing that a server of either protocol says. */
export function decodeAnswer(datagram: Uint8Array): PortMapAnswer | null {
  const protocol = mappingProtocolOf(datagram);
  if (protocol === "nat-pmp") {
    const decoded = decodeNatPmpResponse(datagram);
    return decoded.ok ? { protocol, response: decoded.value } : null;
  }
  const decoded = decodePcpResponse(datagram);
  return decoded.ok ? { protocol, response: decoded.value } : null;
}

/**
 * What must not be under way twice: the answers to two such questions could not be told apart, and a server may do them
 * in either order.
 */
export function keyOf({ protocol, request }: PortMapQuestion): string {
  if (protocol === "nat-pmp") {
    return request.kind === "map" ? `nat-pmp ${request.protocol} ${request.internalPort}` : "nat-pmp address";
  }
  const { body } = request;
  if (body.opcode === "announce") return "pcp announce";
  return `pcp ${body.opcode} ${body.protocol} ${body.internalPort} ${body.thirdParty ?? ""}`;
}

/** no: not to this question. other-nonce: but for its nonce, which only the server and this client know. */
export type Match = "yes" | "no" | "other-nonce";

export function matchOf(question: PortMapQuestion, answer: PortMapAnswer): Match {
  const isVersion = versionRefusalOf(answer);
  if (isVersion !== null) return isVersion === question.protocol ? "yes" : "no";
  if (question.protocol === "nat-pmp") {
    return answer.protocol === "nat-pmp" && answersNatPmp(question.request, answer.response) ? "yes" : "no";
  }
  return answer.protocol === "pcp" ? matchPcp(question.request, answer.response) : "no";
}

/**
 * The protocol that the server says it does not speak; null = the answer is another one. A server of NAT-PMP alone says so
 * in its own form, and one of PCP alone in PCP's (RFC 6887 §9 and appendix A). A PCP server of another version than 2
 * says that one, and nothing about NAT-PMP.
 */
function versionRefusalOf({ protocol, response }: PortMapAnswer): PortMapProtocol | null {
  if (response.kind !== "unsupported-version") return null;
  if (protocol === "nat-pmp") return "pcp";
  return response.version === PCP_VERSION ? "nat-pmp" : "pcp";
}

function answersNatPmp(request: NatPmpRequest, response: NatPmpResponse): boolean {
  switch (response.kind) {
    case "external-address":
      return request.kind === "external-address";
    case "map":
      return (
        request.kind === "map" &&
        isSameMapping(request, response) &&
        isInStep(request.lifetimeSec, response.lifetimeSec)
      );
    case "failure":
      return response.request.kind === "map"
        ? isSameMapping(request, response.request)
        : request.kind === "external-address";
    case "unsupported-opcode":
      return response.opcode === natPmpOpcodeOf(request);
    case "unsupported-version":
      return false;
    default:
      return response satisfies never;
  }
}

function isSameMapping(
  request: NatPmpRequest,
  mapping: { readonly protocol: string; readonly internalPort: number },
): boolean {
  return (
    request.kind === "map" && request.protocol === mapping.protocol && request.internalPort === mapping.internalPort
  );
}

/**
 * A mapping that was asked for twice, because the first answer was late, is answered twice; the second answer may come when
 * its end is asked for, and is none to that. The end is said with a lifetime of 0 (RFC 6886 §3.4, RFC 6887 §15.1).
 */
function isInStep(askedSec: number, answeredSec: number): boolean {
  return askedSec !== 0 || answeredSec === 0;
}

/** It wants an end, which is said with a lifetime of 0. */
export function asksEnd({ protocol, request }: PortMapQuestion): boolean {
  if (protocol === "nat-pmp") return request.kind === "map" && request.lifetimeSec === 0;
  return request.body.opcode !== "announce" && request.lifetimeSec === 0;
}

export function saysEnd({ protocol, response }: PortMapAnswer): boolean {
  if (protocol === "nat-pmp") return response.kind === "map" && response.lifetimeSec === 0;
  return response.kind === "success" && response.body.opcode !== "announce" && response.lifetimeSec === 0;
}

function matchPcp(request: PcpRequest, response: PcpResponse): Match {
  const { body } = request;
  if (response.kind === "unsupported-version") return "no";
  const opcode = response.kind === "success" ? response.body.opcode : response.opcode;
  if (opcode !== body.opcode) return "no";
  if (body.opcode === "announce") return "yes";
  if (response.kind === "success" && !isInStep(request.lifetimeSec, response.lifetimeSec)) return "no";
  const mapping =
    response.kind === "refused" ? response.mapping : response.body.opcode === "announce" ? null : response.body;
  if (mapping === null || mapping.protocol !== body.protocol || mapping.internalPort !== body.internalPort) return "no";
  return mapping.nonce === body.nonce ? "yes" : "other-nonce";
}

/** The server's epoch in an answer; null = it tells none that counts. */
export function epochSecOf({ response }: PortMapAnswer): number | null {
  // Whoever refuses a version may well send zeros for the rest of a form that is not its own.
  return response.kind === "unsupported-version" ? null : response.epochSec;
}

/** Whether this is what servers announce to all when their state is new (RFC 6886 §3.2.1, RFC 6887 §14.1). */
export function isAnnouncement({ protocol, response }: PortMapAnswer): boolean {
  if (protocol === "nat-pmp") return response.kind === "external-address";
  return response.kind === "success" && response.body.opcode === "announce";
}
