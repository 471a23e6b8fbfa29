import { crc32 } from "../crc32.ts";
import { err, ok, type Result } from "../result.ts";
import {
  ALIGNMENT,
  ATTRIBUTE_OFFSET,
  AttributeType,
  align,
  decodeAttribute,
  encodeAttribute,
  isOptional,
  type StunAttribute,
  viewOf,
  withHead,
} from "./attributes.ts";

/**
 * STUN over UDP, RFC 8489: how a host learns the address and port by which others see it. The method Binding alone, with
 * the attributes of RFC 5780 (NAT behaviour). One message a datagram. Clients of RFC 3489, which sends no magic cookie,
 * are not understood: RFC 5780 §3 advises servers against it.
 */
export const STUN_PORT = 3478;

/** §5: two zero bits, then class and method mixed; their bits for Binding. */
const MessageType = { request: 0x0001, indication: 0x0011, success: 0x0101, error: 0x0111 } as const;
export type StunKind = keyof typeof MessageType;
const KINDS: ReadonlyMap<number, StunKind> = new Map(
  Object.entries(MessageType).map(([kind, type]) => [type, kind as StunKind]),
);
const NOT_STUN_BITS = 0xc000;

const MAGIC_COOKIE = 0x2112_a442;
const OFFSET = { type: 0, length: 2, cookie: 4, transactionId: 8 } as const;
export const HEADER_BYTES = 20;
const TRANSACTION_ID_FORM = /^[0-9a-f]{24}$/;
const HEX_DIGITS = 2;
const HEX_BASE = 16;

/** More than a full Ethernet frame, which a request with PADDING fills (RFC 5780 §7.6). */
export const MAX_MESSAGE_BYTES = 2048;
/** A message for NAT discovery has ten kinds. */
const MAX_ATTRIBUTES = 32;
/** §14.7: what the CRC is hidden by, so that it differs from that of a protocol around STUN. */
const FINGERPRINT_MASK = 0x5354_554e;
const FINGERPRINT_BYTES = 4;

export interface StunMessage {
  readonly kind: StunKind;
  /** 96 bits, hexadecimal, lower case. */
  readonly transactionId: string;
  /** In their order. Of those that come twice the first counts (§14). */
  readonly attributes: readonly StunAttribute[];
  /** It ends with a checksum of all before it. */
  readonly fingerprint: boolean;
}

export type StunError =
  /** Not STUN at all: too short, or not its first bits. */
  | { readonly kind: "not-stun" }
  /** No magic cookie: RFC 3489, or another protocol. */
  | { readonly kind: "cookie" }
  /** Its lengths contradict the datagram, or it is longer than MAX_MESSAGE_BYTES. */
  | { readonly kind: "length" }
  | { readonly kind: "method"; readonly type: number }
  /** FINGERPRINT is wrong, or not the last. */
  | { readonly kind: "fingerprint" }
  /** An attribute that must be understood has a value that is none; or there are too many. */
  | { readonly kind: "attribute" }
  /** Attributes that must be understood and are not known here: a request is answered with 420 and this list (§6.3.1). */
  | {
      readonly kind: "unknown-attributes";
      readonly message: StunKind;
      readonly transactionId: string;
      readonly types: readonly number[];
    };

/** `transactionId`: 24 hexadecimal digits; anything else goes out as zeros. */
export function encodeStun({ kind, transactionId, attributes, fingerprint }: StunMessage): Uint8Array {
  const head = new Uint8Array(HEADER_BYTES);
  const headView = viewOf(head);
  headView.setUint16(OFFSET.type, MessageType[kind]);
  headView.setUint32(OFFSET.cookie, MAGIC_COOKIE);
  if (TRANSACTION_ID_FORM.test(transactionId)) head.set(fromHex(transactionId), OFFSET.transactionId);
  const parts = attributes.map((attribute) => encodeAttribute(attribute, head.subarray(OFFSET.cookie)));
  if (fingerprint) parts.push(withHead(AttributeType.fingerprint, new Uint8Array(FINGERPRINT_BYTES)));
  const bodyBytes = parts.reduce((sum, { length }) => sum + length, 0);
  const out = new Uint8Array(HEADER_BYTES + bodyBytes);
  out.set(head);
  let at = HEADER_BYTES;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  const view = viewOf(out);
  view.setUint16(OFFSET.length, bodyBytes);
  // The length counts FINGERPRINT itself; the checksum ends before it.
  if (fingerprint) view.setUint32(at - FINGERPRINT_BYTES, fingerprintOf(out, at - fingerprintSize()));
  return out;
}

/**
 * One datagram. Optional attributes that cannot be read are left out: they are as good as absent (§14). What is not of
 * this method is an error, and so is what does not end where the datagram ends.
 */
export function decodeStun(bytes: Uint8Array): Result<StunMessage, StunError> {
  if (bytes.length < HEADER_BYTES) return err({ kind: "not-stun" });
  const view = viewOf(bytes);
  const type = view.getUint16(OFFSET.type);
  if ((type & NOT_STUN_BITS) !== 0) return err({ kind: "not-stun" });
  if (view.getUint32(OFFSET.cookie) !== MAGIC_COOKIE) return err({ kind: "cookie" });
  const length = view.getUint16(OFFSET.length);
  const isWhole = length === bytes.length - HEADER_BYTES && length % ALIGNMENT === 0;
  if (!isWhole || bytes.length > MAX_MESSAGE_BYTES) return err({ kind: "length" });
  const kind = KINDS.get(type);
  if (kind === undefined) return err({ kind: "method", type });
  const body = decodeBody(bytes);
  if (!body.ok) return body;
  const { attributes, fingerprint, unknown } = body.value;
  const transactionId = toHex(bytes.subarray(OFFSET.transactionId, HEADER_BYTES));
  if (unknown.length > 0) return err({ kind: "unknown-attributes", message: kind, transactionId, types: unknown });
  return ok({ kind, transactionId, attributes, fingerprint });
}

interface Body {
  readonly attributes: readonly StunAttribute[];
  readonly fingerprint: boolean;
  readonly unknown: readonly number[];
}

function decodeBody(bytes: Uint8Array): Result<Body, StunError> {
  const view = viewOf(bytes);
  const mask = bytes.subarray(OFFSET.cookie, HEADER_BYTES);
  const attributes: StunAttribute[] = [];
  const unknown = new Set<number>();
  let count = 0;
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const from = at + ATTRIBUTE_OFFSET.value;
    if (from > bytes.length) return err({ kind: "length" });
    const type = view.getUint16(at + ATTRIBUTE_OFFSET.type);
    const to = from + view.getUint16(at + ATTRIBUTE_OFFSET.length);
    if (from + align(to - from) > bytes.length) return err({ kind: "length" });
    if (++count > MAX_ATTRIBUTES) return err({ kind: "attribute" });
    if (type === AttributeType.fingerprint) {
      const isRight =
        to - from === FINGERPRINT_BYTES && to === bytes.length && view.getUint32(from) === fingerprintOf(bytes, at);
      return isRight ? ok({ attributes, fingerprint: true, unknown: [...unknown] }) : err({ kind: "fingerprint" });
    }
    const decoded = decodeAttribute(type, bytes.subarray(from, to), mask);
    if (typeof decoded === "object") attributes.push(decoded);
    else if (!isOptional(type)) {
      if (decoded === "malformed") return err({ kind: "attribute" });
      unknown.add(type);
    }
    at = from + align(to - from);
  }
  return ok({ attributes, fingerprint: false, unknown: [...unknown] });
}

/** The first attribute of a kind; null when there is none. */
export function attributeOf<K extends StunAttribute["kind"]>(
  { attributes }: Pick<StunMessage, "attributes">,
  kind: K,
): Extract<StunAttribute, { readonly kind: K }> | null {
  const isMeant = (one: StunAttribute): one is Extract<StunAttribute, { readonly kind: K }> => one.kind === kind;
  return attributes.find(isMeant) ?? null;
}

function fingerprintSize(): number {
  return ATTRIBUTE_OFFSET.value + FINGERPRINT_BYTES;
}

function fingerprintOf(bytes: Uint8Array, end: number): number {
  return (crc32(bytes.subarray(0, end)) ^ FINGERPRINT_MASK) >>> 0;
}

// Not Uint8Array's own: Node 22, which the client runs on as well, has none.
function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(HEX_BASE).padStart(HEX_DIGITS, "0")).join("");
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / HEX_DIGITS }, (_, n) =>
    Number.parseInt(text.slice(n * HEX_DIGITS, (n + 1) * HEX_DIGITS), HEX_BASE),
  );
}
