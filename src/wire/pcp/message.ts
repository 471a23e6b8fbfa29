import type { Cidr } from "../address.ts";

/**
 * PCP, RFC 6887: the successor of NAT-PMP on the same ports. What a request and its response have in common; the
 * bytes are in request.ts, response.ts, body.ts and options.ts.
 */
export const PCP_VERSION = 2;
/** §7: of a UDP payload. */
export const MAX_MESSAGE_BYTES = 1100;
/** §7: every message is a multiple of this. */
const ALIGNMENT_BYTES = 4;
export const HEADER_BYTES = 24;

/** §7.1, 7.2: the top bit of the opcode. */
export const RESPONSE_BIT = 0x80;
/** §7.1 and 7.2: both headers begin alike. `reserved` stands over the last 96 bits of the client's address. */
export const OFFSET = {
  version: 0,
  opcode: 1,
  responseReserved: 2,
  result: 3,
  lifetime: 4,
  clientAddress: 8,
  epoch: 8,
  reserved: 12,
} as const;
export const ADDRESS_BYTES = 16;
/** §11.1: 96 bits. */
export const NONCE_BYTES = 12;

/** §7.4. */
export const PcpResult = {
  success: 0,
  unsupportedVersion: 1,
  notAuthorized: 2,
  malformedRequest: 3,
  unsupportedOpcode: 4,
  unsupportedOption: 5,
  malformedOption: 6,
  networkFailure: 7,
  noResources: 8,
  unsupportedProtocol: 9,
  userExceededQuota: 10,
  cannotProvideExternal: 11,
  addressMismatch: 12,
  excessiveRemotePeers: 13,
} as const;
export type PcpResultCode = (typeof PcpResult)[keyof typeof PcpResult];

/** §19.2. */
export const Opcode = { announce: 0, map: 1, peer: 2 } as const;
export type PcpOpcode = keyof typeof Opcode;

export function opcodeName(code: number): PcpOpcode | null {
  for (const [name, value] of Object.entries(Opcode)) if (value === code) return name as PcpOpcode;
  return null;
}

/** IANA's numbers of what has ports, and §11.1's `all`; others are legal, and the server's to refuse. */
export const PcpProtocol = { all: 0, tcp: 6, udp: 17 } as const;

export interface PcpMapping {
  /** 24 lower-case hexadecimal digits, chosen by the client: by them it knows its response (§11.1). */
  readonly nonce: string;
  /** A PcpProtocol, or another number of IANA's. */
  readonly protocol: number;
  /** 0 = all ports. */
  readonly internalPort: number;
  /** Suggested by a request, assigned by its response. 0 = no suggestion. */
  readonly externalPort: number;
  /** The same; `0.0.0.0` or `::` = no suggestion in that family (§5). */
  readonly externalAddress: string;
}

/** Who may use a mapping (§13.3), in the order in which they apply. */
export interface PcpFilter {
  /** Null = forget all filters so far. */
  readonly remote: Cidr | null;
  /** 0 = any; and 0 where `remote` is null. */
  readonly remotePort: number;
}

interface PcpAnnounce {
  readonly opcode: "announce";
}

export interface PcpMap extends PcpMapping {
  readonly opcode: "map";
  /** Whose mapping it is, if not the client's own (§13.1). Whether that may be is the server's decision. */
  readonly thirdParty: string | null;
  /** Rather no mapping than another than the suggested one (§13.2). */
  readonly preferFailure: boolean;
  readonly filters: readonly PcpFilter[];
}

export interface PcpPeer extends PcpMapping {
  readonly opcode: "peer";
  readonly remotePort: number;
  readonly remoteAddress: string;
  readonly thirdParty: string | null;
}

/** What follows the header, options included: a response has the same as its request. */
export type PcpBody = PcpAnnounce | PcpMap | PcpPeer;

/** Why a message cannot be encoded. */
export type PcpEncodeError =
  /** A text that is not an address. */
  | { readonly kind: "address" }
  | { readonly kind: "nonce" }
  /** All of IPv6, which the option cannot say. */
  | { readonly kind: "filter" }
  /** Over 1,100 bytes: there are more filters than fit. */
  | { readonly kind: "too-long" };

export function isAligned(byteCount: number): boolean {
  return byteCount % ALIGNMENT_BYTES === 0;
}

export function align(byteCount: number): number {
  return Math.ceil(byteCount / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
