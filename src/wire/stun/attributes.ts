import { addressBytes, addressFromBytes } from "../address.ts";
import type { Endpoint } from "../endpoint.ts";
import { V4_BYTES, V6_BYTES } from "../ip-words.ts";
import { decodeUtf8 } from "../utf8.ts";

/** Types of attributes: RFC 8489 §18.3, and RFC 5780 §7 for those about behaviour. */
export const AttributeType = {
  mappedAddress: 0x0001,
  changeRequest: 0x0003,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  xorMappedAddress: 0x0020,
  padding: 0x0026,
  responsePort: 0x0027,
  software: 0x8022,
  fingerprint: 0x8028,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
} as const;

/** Below it, who does not know an attribute must not go on as if it were not there (RFC 8489 §14). */
const FIRST_OPTIONAL_TYPE = 0x8000;

export const ATTRIBUTE_OFFSET = { type: 0, length: 2, value: 4 } as const;
/** Values are padded to a multiple of it; the length does not count the padding (§14). */
export const ALIGNMENT = 4;

const ADDRESS_OFFSET = { family: 1, port: 2, address: 4 } as const;
const Family = { v4: 1, v6: 2 } as const;
const CHANGE_FLAG = { address: 0x04, port: 0x02 } as const;
const CHANGE_BYTES = 4;
const RESPONSE_PORT_BYTES = 4;
const ERROR_OFFSET = { class: 2, number: 3, reason: 4 } as const;
const ERROR_CLASS_MASK = 0x07;
const ERRORS_PER_CLASS = 100;
const ERROR_CODES = { first: 300, last: 699 } as const;
const TYPE_BYTES = 2;
/** §14.8 and 14.14: 509 bytes now, 763 in RFC 5389. */
export const MAX_TEXT_BYTES = 763;

interface Located<K> {
  readonly kind: K;
  readonly endpoint: Endpoint;
}

/** An attribute that this program knows. FINGERPRINT is not among them: it belongs to the message as a whole. */
export type StunAttribute =
  | Located<"mapped-address">
  | Located<"xor-mapped-address">
  /** Where the answer was sent from, and the server's other address with its other port (RFC 5780 §7.3, 7.4). */
  | Located<"response-origin">
  | Located<"other-address">
  /** Answer from the server's other address, its other port, or both (RFC 5780 §7.2). */
  | { readonly kind: "change-request"; readonly address: boolean; readonly port: boolean }
  | { readonly kind: "response-port"; readonly port: number }
  /** So many bytes that mean nothing. */
  | { readonly kind: "padding"; readonly bytes: number }
  | { readonly kind: "software"; readonly text: string }
  /** 300 to 699; `reason` is for people, and the sender's own words. */
  | { readonly kind: "error-code"; readonly code: number; readonly reason: string }
  | { readonly kind: "unknown-attributes"; readonly types: readonly number[] };

type AttributeKind = StunAttribute["kind"];

const TYPE_OF: Readonly<Record<AttributeKind, number>> = {
  "mapped-address": AttributeType.mappedAddress,
  "xor-mapped-address": AttributeType.xorMappedAddress,
  "response-origin": AttributeType.responseOrigin,
  "other-address": AttributeType.otherAddress,
  "change-request": AttributeType.changeRequest,
  "response-port": AttributeType.responsePort,
  padding: AttributeType.padding,
  software: AttributeType.software,
  "error-code": AttributeType.errorCode,
  "unknown-attributes": AttributeType.unknownAttributes,
};
const KIND_OF: ReadonlyMap<number, AttributeKind> = new Map(
  Object.entries(TYPE_OF).map(([kind, type]) => [type, kind as AttributeKind]),
);

export function isOptional(type: number): boolean {
  return type >= FIRST_OPTIONAL_TYPE;
}

export function align(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

/**
 * `unknown`: a type that this program does not know. `malformed`: one that it knows, with a value that is none. `mask`:
 * cookie and transaction id, which XOR-MAPPED-ADDRESS is hidden by (§14.2).
 */
export function decodeAttribute(
  type: number,
  value: Uint8Array,
  mask: Uint8Array,
): StunAttribute | "unknown" | "malformed" {
  const kind = KIND_OF.get(type);
  if (kind === undefined) return "unknown";
  return decodeValue(kind, value, mask) ?? "malformed";
}

function decodeValue(kind: AttributeKind, value: Uint8Array, mask: Uint8Array): StunAttribute | null {
  const view = viewOf(value);
  switch (kind) {
    case "mapped-address":
    case "response-origin":
    case "other-address": {
      const endpoint = decodeEndpoint(value);
      return endpoint === null ? null : { kind, endpoint };
    }
    case "xor-mapped-address": {
      const endpoint = decodeEndpoint(masked(value, mask));
      return endpoint === null ? null : { kind, endpoint };
    }
    case "change-request": {
      if (value.length !== CHANGE_BYTES) return null;
      const flags = view.getUint32(0);
      return { kind, address: (flags & CHANGE_FLAG.address) !== 0, port: (flags & CHANGE_FLAG.port) !== 0 };
    }
    case "response-port":
      // RFC 5780 §7.5: a port and two bytes of padding. Some leave the padding to the attribute's own.
      return value.length === RESPONSE_PORT_BYTES || value.length === RESPONSE_PORT_BYTES / 2
        ? { kind, port: view.getUint16(0) }
        : null;
    case "padding":
      return { kind, bytes: value.length };
    case "software": {
      const text = value.length > MAX_TEXT_BYTES ? null : decodeUtf8(value);
      return text === null ? null : { kind, text };
    }
    case "error-code": {
      if (value.length < ERROR_OFFSET.reason || value.length > ERROR_OFFSET.reason + MAX_TEXT_BYTES) return null;
      const number = view.getUint8(ERROR_OFFSET.number);
      const code = (view.getUint8(ERROR_OFFSET.class) & ERROR_CLASS_MASK) * ERRORS_PER_CLASS + number;
      if (number >= ERRORS_PER_CLASS || code < ERROR_CODES.first || code > ERROR_CODES.last) return null;
      // The code is what counts; words that are no text are left out.
      return { kind, code, reason: decodeUtf8(value.subarray(ERROR_OFFSET.reason)) ?? "" };
    }
    case "unknown-attributes": {
      if (value.length % TYPE_BYTES !== 0) return null;
      return {
        kind,
        types: Array.from({ length: value.length / TYPE_BYTES }, (_, n) => view.getUint16(n * TYPE_BYTES)),
      };
    }
    default:
      return kind satisfies never;
  }
}

/** The whole attribute, padded with zeros. */
export function encodeAttribute(attribute: StunAttribute, mask: Uint8Array): Uint8Array {
  return withHead(TYPE_OF[attribute.kind], encodeValue(attribute, mask));
}

export function withHead(type: number, value: Uint8Array): Uint8Array {
  const out = new Uint8Array(ATTRIBUTE_OFFSET.value + align(value.length));
  const view = viewOf(out);
  view.setUint16(ATTRIBUTE_OFFSET.type, type);
  view.setUint16(ATTRIBUTE_OFFSET.length, value.length);
  out.set(value, ATTRIBUTE_OFFSET.value);
  return out;
}

function encodeValue(attribute: StunAttribute, mask: Uint8Array): Uint8Array {
  switch (attribute.kind) {
    case "mapped-address":
    case "response-origin":
    case "other-address":
      return encodeEndpoint(attribute.endpoint);
    case "xor-mapped-address":
      return masked(encodeEndpoint(attribute.endpoint), mask);
    case "change-request": {
      const value = new Uint8Array(CHANGE_BYTES);
      viewOf(value).setUint32(
        0,
        (attribute.address ? CHANGE_FLAG.address : 0) | (attribute.port ? CHANGE_FLAG.port : 0),
      );
      return value;
    }
    case "response-port": {
      const value = new Uint8Array(RESPONSE_PORT_BYTES);
      viewOf(value).setUint16(0, attribute.port);
      return value;
    }
    case "padding":
      return new Uint8Array(attribute.bytes);
    case "software":
      return new TextEncoder().encode(attribute.text).subarray(0, MAX_TEXT_BYTES);
    case "error-code": {
      const reason = new TextEncoder().encode(attribute.reason).subarray(0, MAX_TEXT_BYTES);
      const value = new Uint8Array(ERROR_OFFSET.reason + reason.length);
      value[ERROR_OFFSET.class] = Math.floor(attribute.code / ERRORS_PER_CLASS);
      value[ERROR_OFFSET.number] = attribute.code % ERRORS_PER_CLASS;
      value.set(reason, ERROR_OFFSET.reason);
      return value;
    }
    case "unknown-attributes": {
      const value = new Uint8Array(attribute.types.length * TYPE_BYTES);
      const view = viewOf(value);
      for (const [n, type] of attribute.types.entries()) view.setUint16(n * TYPE_BYTES, type);
      return value;
    }
    default:
      return attribute satisfies never;
  }
}

/** §14.1: a byte of zeros, family, port, address. */
function decodeEndpoint(value: Uint8Array): Endpoint | null {
  const family = value[ADDRESS_OFFSET.family];
  const bytes = value.subarray(ADDRESS_OFFSET.address);
  const isWhole =
    (family === Family.v4 && bytes.length === V4_BYTES) || (family === Family.v6 && bytes.length === V6_BYTES);
  const address = isWhole ? addressFromBytes(bytes) : null;
  return address === null ? null : { address, port: viewOf(value).getUint16(ADDRESS_OFFSET.port) };
}

/** A text that is no address is a mistake of the caller, and goes out as 0.0.0.0. */
function encodeEndpoint({ address, port }: Endpoint): Uint8Array {
  const bytes = addressBytes(address) ?? new Uint8Array(V4_BYTES);
  const value = new Uint8Array(ADDRESS_OFFSET.address + bytes.length);
  value[ADDRESS_OFFSET.family] = bytes.length === V4_BYTES ? Family.v4 : Family.v6;
  viewOf(value).setUint16(ADDRESS_OFFSET.port, port);
  value.set(bytes, ADDRESS_OFFSET.address);
  return value;
}

/** Both ways: the port by the cookie's first half, the address by cookie and transaction id (§14.2). */
function masked(value: Uint8Array, mask: Uint8Array): Uint8Array {
  return value.map((byte, at) => {
    if (at < ADDRESS_OFFSET.port) return byte;
    return byte ^ (mask[at < ADDRESS_OFFSET.address ? at - ADDRESS_OFFSET.port : at - ADDRESS_OFFSET.address] ?? 0);
  });
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
