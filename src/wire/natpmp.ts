import { addressBytes, addressFromBytes } from "./address.ts";
import type { Protocol } from "./port-set.ts";
import { err, ok, type Result } from "./result.ts";

/**
 * NAT-PMP, RFC 6886: how a host behind a NAT asks its gateway for the external IPv4 address and for port mappings.
 * One message a datagram; both sides' messages, each with encode and decode.
 */
const NAT_PMP_VERSION = 0;

/** UDP. PCP took both ports over (RFC 6887 §19): requests go to the server's, announcements to the clients'. */
export const MAPPING_SERVER_PORT = 5351;
export const MAPPING_CLIENT_PORT = 5350;

/**
 * Whose datagram it is, by its first byte (RFC 6887 appendix A). NAT-PMP ends at version 0; the numbers after it are
 * PCP's, whose decoder tells versions other than 2 apart.
 */
export function mappingProtocolOf(datagram: Uint8Array): "nat-pmp" | "pcp" {
  return datagram[OFFSET.version] === NAT_PMP_VERSION ? "nat-pmp" : "pcp";
}

/** RFC 6886 §3.5. */
export const NatPmpResult = {
  success: 0,
  unsupportedVersion: 1,
  notAuthorized: 2,
  networkFailure: 3,
  outOfResources: 4,
  unsupportedOpcode: 5,
} as const;
export type NatPmpResultCode = (typeof NatPmpResult)[keyof typeof NatPmpResult];

const Opcode = { externalAddress: 0, mapUdp: 1, mapTcp: 2 } as const;
/** The top bit of the opcode (§3.5). */
const RESPONSE_BIT = 0x80;

const OFFSET = { version: 0, opcode: 1 } as const;
const REQUEST_BYTES = { externalAddress: 2, map: 12 } as const;
const MAP_REQUEST_OFFSET = { internalPort: 4, externalPort: 6, lifetime: 8 } as const;
/** What every response begins with (§3.5); bytes of an unknown request come back after it. */
const RESPONSE_OFFSET = { result: 2, epoch: 4, rest: 8 } as const;
const ADDRESS_RESPONSE_OFFSET = { address: 8 } as const;
const MAP_RESPONSE_OFFSET = { internalPort: 8, externalPort: 10, lifetime: 12 } as const;
const RESPONSE_BYTES = { header: 8, externalAddress: 12, map: 16 } as const;
const IPV4_BYTES = 4;

interface NatPmpAddressRequest {
  readonly kind: "external-address";
}

interface NatPmpMapRequest {
  readonly kind: "map";
  readonly protocol: Protocol;
  /** 0 = all ports of the protocol, in a deletion (§3.4). */
  readonly internalPort: number;
  /** A suggestion; 0 = none. */
  readonly externalPort: number;
  /** 0 = delete the mapping (§3.4). */
  readonly lifetimeSec: number;
}

export type NatPmpRequest = NatPmpAddressRequest | NatPmpMapRequest;

export type NatPmpRequestError =
  /** Not answered: too short, or itself a response (§3.5). */
  | { readonly kind: "too-short" }
  | { readonly kind: "response" }
  /** These are answered: with `epochSec` added, each is a NatPmpResponse. */
  | NatPmpUnsupportedVersion
  | NatPmpUnsupportedOpcode;

interface NatPmpUnsupportedVersion {
  readonly kind: "unsupported-version";
}

interface NatPmpUnsupportedOpcode {
  readonly kind: "unsupported-opcode";
  readonly opcode: number;
  /** What follows the first eight bytes of the request: all of it comes back (§3.5). A view of the request. */
  readonly rest: Uint8Array;
}

export type NatPmpResponse = {
  /** Seconds since the mapping table was new (§3.6). */
  readonly epochSec: number;
} & (
  | {
      /** The answer to a request, or the announcement of a new address (§3.2.1): the same bytes. */
      readonly kind: "external-address";
      /** IPv4. Some routers say 0.0.0.0 for "none". */
      readonly address: string;
    }
  | {
      readonly kind: "map";
      readonly protocol: Protocol;
      readonly internalPort: number;
      /** 0 after a deletion, like the lifetime (§3.4). */
      readonly externalPort: number;
      readonly lifetimeSec: number;
    }
  | {
      readonly kind: "failure";
      /** A NatPmpResult other than success, or a code of the server's own. */
      readonly result: number;
      readonly request: NatPmpAddressRequest | Pick<NatPmpMapRequest, "kind" | "protocol" | "internalPort">;
    }
  | NatPmpUnsupportedVersion
  | NatPmpUnsupportedOpcode
);

export type NatPmpResponseError =
  | { readonly kind: "too-short" }
  | { readonly kind: "version"; readonly version: number }
  /** A request came where a response was due. */
  | { readonly kind: "request" }
  /** A success of an operation that this client never asks for. */
  | { readonly kind: "opcode"; readonly opcode: number };

// ---- requests ----

export function encodeNatPmpRequest(request: NatPmpRequest): Uint8Array {
  if (request.kind === "external-address") return Uint8Array.of(NAT_PMP_VERSION, Opcode.externalAddress);
  const out = new Uint8Array(REQUEST_BYTES.map);
  const view = viewOf(out);
  view.setUint8(OFFSET.version, NAT_PMP_VERSION);
  view.setUint8(OFFSET.opcode, opcodeOf(request));
  view.setUint16(MAP_REQUEST_OFFSET.internalPort, request.internalPort);
  view.setUint16(MAP_REQUEST_OFFSET.externalPort, request.externalPort);
  view.setUint32(MAP_REQUEST_OFFSET.lifetime, request.lifetimeSec);
  return out;
}

/** Bytes after the request are ignored: the RFC gives the fields, and no rule for more. */
export function decodeNatPmpRequest(bytes: Uint8Array): Result<NatPmpRequest, NatPmpRequestError> {
  const version = bytes[OFFSET.version];
  const opcode = bytes[OFFSET.opcode];
  if (version === undefined || opcode === undefined) return err({ kind: "too-short" });
  // Before the version: an answer to a response would start a loop between two servers.
  if ((opcode & RESPONSE_BIT) !== 0) return err({ kind: "response" });
  if (version !== NAT_PMP_VERSION) return err({ kind: "unsupported-version" });
  if (opcode === Opcode.externalAddress) return ok({ kind: "external-address" });
  const protocol = protocolOf(opcode);
  if (protocol === null) {
    return err({ kind: "unsupported-opcode", opcode, rest: bytes.subarray(RESPONSE_OFFSET.rest) });
  }
  if (bytes.length < REQUEST_BYTES.map) return err({ kind: "too-short" });
  const view = viewOf(bytes);
  return ok({
    kind: "map",
    protocol,
    internalPort: view.getUint16(MAP_REQUEST_OFFSET.internalPort),
    externalPort: view.getUint16(MAP_REQUEST_OFFSET.externalPort),
    lifetimeSec: view.getUint32(MAP_REQUEST_OFFSET.lifetime),
  });
}

// ---- responses ----

/** A gateway whose external address is not IPv4 has none that NAT-PMP can tell: the answer is a network failure. */
export function encodeNatPmpResponse(response: NatPmpResponse): Uint8Array {
  const { epochSec } = response;
  switch (response.kind) {
    case "external-address": {
      const address = addressBytes(response.address);
      const told = address?.length === IPV4_BYTES ? address : null;
      const result = told === null ? NatPmpResult.networkFailure : NatPmpResult.success;
      const out = responseHead(RESPONSE_BYTES.externalAddress, Opcode.externalAddress, result, epochSec);
      if (told !== null) out.set(told, ADDRESS_RESPONSE_OFFSET.address);
      return out;
    }
    case "map": {
      const out = responseHead(RESPONSE_BYTES.map, opcodeOf(response), NatPmpResult.success, epochSec);
      const view = viewOf(out);
      view.setUint16(MAP_RESPONSE_OFFSET.internalPort, response.internalPort);
      view.setUint16(MAP_RESPONSE_OFFSET.externalPort, response.externalPort);
      view.setUint32(MAP_RESPONSE_OFFSET.lifetime, response.lifetimeSec);
      return out;
    }
    case "failure": {
      const { request, result } = response;
      if (request.kind === "external-address") {
        return responseHead(RESPONSE_BYTES.externalAddress, Opcode.externalAddress, result, epochSec);
      }
      const out = responseHead(RESPONSE_BYTES.map, opcodeOf(request), result, epochSec);
      viewOf(out).setUint16(MAP_RESPONSE_OFFSET.internalPort, request.internalPort);
      return out;
    }
    case "unsupported-version":
      // Erratum 3618: opcode 128, where the RFC's figure shows 0.
      return responseHead(
        RESPONSE_BYTES.header,
        Opcode.externalAddress,
        NatPmpResult.unsupportedVersion,
        response.epochSec,
      );
    case "unsupported-opcode": {
      const { opcode, rest } = response;
      const size = RESPONSE_BYTES.header + rest.length;
      const out = responseHead(size, opcode, NatPmpResult.unsupportedOpcode, epochSec);
      out.set(rest, RESPONSE_OFFSET.rest);
      return out;
    }
    default:
      return response satisfies never;
  }
}

export function decodeNatPmpResponse(bytes: Uint8Array): Result<NatPmpResponse, NatPmpResponseError> {
  if (bytes.length < RESPONSE_BYTES.header) return err({ kind: "too-short" });
  const view = viewOf(bytes);
  const version = view.getUint8(OFFSET.version);
  if (version !== NAT_PMP_VERSION) return err({ kind: "version", version });
  const responseOpcode = view.getUint8(OFFSET.opcode);
  const result = view.getUint16(RESPONSE_OFFSET.result);
  const epochSec = view.getUint32(RESPONSE_OFFSET.epoch);
  // Erratum 3618: servers built from the RFC's figure send this one with opcode 0.
  if (result === NatPmpResult.unsupportedVersion && (responseOpcode & ~RESPONSE_BIT) === Opcode.externalAddress) {
    return ok({ kind: "unsupported-version", epochSec });
  }
  if ((responseOpcode & RESPONSE_BIT) === 0) return err({ kind: "request" });
  const opcode = responseOpcode & ~RESPONSE_BIT;
  if (result === NatPmpResult.unsupportedOpcode) {
    return ok({ kind: "unsupported-opcode", epochSec, opcode, rest: bytes.subarray(RESPONSE_OFFSET.rest) });
  }
  if (opcode === Opcode.externalAddress) return decodeAddressResponse(bytes, result, epochSec);
  const protocol = protocolOf(opcode);
  if (protocol === null) return err({ kind: "opcode", opcode });
  if (bytes.length < RESPONSE_BYTES.map) return err({ kind: "too-short" });
  const internalPort = view.getUint16(MAP_RESPONSE_OFFSET.internalPort);
  if (result !== NatPmpResult.success) {
    return ok({ kind: "failure", epochSec, result, request: { kind: "map", protocol, internalPort } });
  }
  const externalPort = view.getUint16(MAP_RESPONSE_OFFSET.externalPort);
  const lifetimeSec = view.getUint32(MAP_RESPONSE_OFFSET.lifetime);
  return ok({ kind: "map", epochSec, protocol, internalPort, externalPort, lifetimeSec });
}

function decodeAddressResponse(
  bytes: Uint8Array,
  result: number,
  epochSec: number,
): Result<NatPmpResponse, NatPmpResponseError> {
  // §3.2: the address means nothing after a failure, so a server may well leave it out.
  if (result !== NatPmpResult.success) {
    return ok({ kind: "failure", epochSec, result, request: { kind: "external-address" } });
  }
  const from = ADDRESS_RESPONSE_OFFSET.address;
  const address = addressFromBytes(bytes.subarray(from, from + IPV4_BYTES));
  return address === null ? err({ kind: "too-short" }) : ok({ kind: "external-address", epochSec, address });
}

function responseHead(size: number, opcode: number, result: number, epochSec: number): Uint8Array {
  const out = new Uint8Array(size);
  const view = viewOf(out);
  view.setUint8(OFFSET.version, NAT_PMP_VERSION);
  view.setUint8(OFFSET.opcode, opcode | RESPONSE_BIT);
  view.setUint16(RESPONSE_OFFSET.result, result);
  view.setUint32(RESPONSE_OFFSET.epoch, epochSec);
  return out;
}

/** By it an answer that an operation is not supported leads back to its request. */
export function natPmpOpcodeOf(request: NatPmpRequest): number {
  return request.kind === "external-address" ? Opcode.externalAddress : opcodeOf(request);
}

function opcodeOf({ protocol }: { readonly protocol: Protocol }): number {
  return protocol === "udp" ? Opcode.mapUdp : Opcode.mapTcp;
}

function protocolOf(opcode: number): Protocol | null {
  if (opcode === Opcode.mapUdp) return "udp";
  return opcode === Opcode.mapTcp ? "tcp" : null;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
