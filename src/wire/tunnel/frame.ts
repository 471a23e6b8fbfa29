import { err, ok, type Result } from "../result.ts";

/**
 * The frame of the tunnel protocol (docs/tunnel-protocol.md): an 8-byte header, then `length` bytes of payload.
 *
 *   offset 0  u8   type
 *   offset 1  u24  length of the payload, bytes, big-endian, at most MAX_PAYLOAD
 *   offset 4  u32  stream or flow id, big-endian; 0 = the carrier itself
 */
export const HEADER_BYTES = 8;
const OFFSET = { type: 0, length: 1, id: 4 } as const;

/** No frame is longer. Only CONTROL comes near: 10,000 forward ids in one message. */
export const MAX_PAYLOAD = 1024 * 1024;
/** A DATA frame is handed on as it arrives, never reassembled: the cap only bounds how long one stream may hold a carrier. */
export const MAX_DATA_BYTES = 256 * 1024;

/** Codes are part of the protocol: append, never renumber. */
export const FrameType = {
  open: 1,
  opened: 2,
  refused: 3,
  data: 4,
  end: 5,
  reset: 6,
  credit: 7,
  move: 8,
  flowOpen: 9,
  datagram: 10,
  flowClose: 11,
  ping: 12,
  pong: 13,
  control: 14,
} as const;

export type FrameTypeCode = (typeof FrameType)[keyof typeof FrameType];

/** What a payload may be, by type: exact lengths where the type has one, so that a bad peer is caught at the header. */
const PAYLOAD_LIMITS: Readonly<Record<FrameTypeCode, readonly [least: number, most: number]>> = {
  [FrameType.open]: [1, 1024],
  [FrameType.opened]: [0, 0],
  [FrameType.refused]: [1, 1],
  [FrameType.data]: [1, MAX_DATA_BYTES],
  [FrameType.end]: [0, 0],
  [FrameType.reset]: [1, 1],
  [FrameType.credit]: [4, 4],
  [FrameType.move]: [1, 1],
  [FrameType.flowOpen]: [1, 1024],
  [FrameType.datagram]: [0, 65_535],
  [FrameType.flowClose]: [1, 1],
  [FrameType.ping]: [8, 8],
  [FrameType.pong]: [8, 8],
  [FrameType.control]: [1, MAX_PAYLOAD],
};

export interface FrameHeader {
  readonly type: FrameTypeCode;
  readonly id: number;
  readonly length: number;
}

export type FrameError = {
  readonly kind: "unknown-type" | "bad-length";
  readonly type: number;
  readonly length: number;
};

/** Writes the header at `at`; the caller has room for HEADER_BYTES and a length within the type's limits. */
export function encodeHeader(into: Uint8Array, at: number, type: FrameTypeCode, id: number, length: number): void {
  into[at + OFFSET.type] = type;
  into[at + OFFSET.length] = length >>> 16;
  into[at + OFFSET.length + 1] = length >>> 8;
  into[at + OFFSET.length + 2] = length;
  into[at + OFFSET.id] = id >>> 24;
  into[at + OFFSET.id + 1] = id >>> 16;
  into[at + OFFSET.id + 2] = id >>> 8;
  into[at + OFFSET.id + 3] = id;
}

function lengthAllowed(type: number, length: number): "ok" | FrameError["kind"] {
  const limits = PAYLOAD_LIMITS[type as FrameTypeCode] as readonly [number, number] | undefined;
  if (limits === undefined) return "unknown-type";
  return length >= limits[0] && length <= limits[1] ? "ok" : "bad-length";
}

/** Needs HEADER_BYTES at `at`. */
export function decodeHeader(bytes: Uint8Array, at: number): Result<FrameHeader, FrameError> {
  const type = bytes[at + OFFSET.type] as number;
  const length = u24(bytes, at + OFFSET.length);
  const verdict = lengthAllowed(type, length);
  if (verdict !== "ok") return err({ kind: verdict, type, length });
  return ok({ type: type as FrameTypeCode, id: readU32(bytes, at + OFFSET.id), length });
}

function u24(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

export function writeU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

/** Who hears of parsed frames. Payload views are valid only during the call. */
export interface FrameSink {
  /** Part of a DATA payload, in order; never empty. */
  onDataPart(id: number, part: Uint8Array): void;
  /** Any other frame, whole. */
  onFrame(type: FrameTypeCode, id: number, payload: Uint8Array): void;
}

const NO_PAYLOAD = new Uint8Array(0);

/**
 * Incremental parser of one carrier's byte stream. DATA payloads are handed on in parts without a copy (measured:
 * 3.6 → 4.8 Gbit/s against reassembly); other frames are gathered only when a read splits them.
 * After an error it accepts nothing more.
 */
export class FrameParser {
  private readonly header = new Uint8Array(HEADER_BYTES);
  private headerLength = 0;
  private type: FrameTypeCode | 0 = 0;
  private id = 0;
  private remaining = 0;
  private gathered: Uint8Array | null = null;
  private gatheredLength = 0;
  private failed: FrameError | null = null;

  /** `maxPayload` may be below the protocol's cap while a peer is not trusted, and raised later. */
  constructor(public maxPayload: number = MAX_PAYLOAD) {}

  /** Null when all of `bytes` was taken. */
  push(bytes: Uint8Array, sink: FrameSink): FrameError | null {
    if (this.failed !== null) return this.failed;
    let at = 0;
    while (at < bytes.length) {
      if (this.type === 0) {
        at = this.takeHeader(bytes, at);
        if (this.failed !== null) return this.failed;
        if (this.type === 0) break;
        if (this.remaining === 0) this.finish(sink, NO_PAYLOAD);
        continue;
      }
      const take = Math.min(this.remaining, bytes.length - at);
      const part = bytes.subarray(at, at + take);
      at += take;
      this.remaining -= take;
      if (this.type === FrameType.data) {
        const id = this.id;
        if (this.remaining === 0) this.type = 0;
        sink.onDataPart(id, part);
      } else {
        this.takePayload(part, sink);
      }
    }
    return null;
  }

  private takeHeader(bytes: Uint8Array, at: number): number {
    let source = bytes;
    let start = at;
    let next = at + HEADER_BYTES;
    if (this.headerLength > 0 || next > bytes.length) {
      const take = Math.min(HEADER_BYTES - this.headerLength, bytes.length - at);
      this.header.set(bytes.subarray(at, at + take), this.headerLength);
      this.headerLength += take;
      if (this.headerLength < HEADER_BYTES) return at + take;
      source = this.header;
      start = 0;
      next = at + take;
      this.headerLength = 0;
    }
    const type = source[start + OFFSET.type] as number;
    const length = u24(source, start + OFFSET.length);
    const verdict = length > this.maxPayload ? "bad-length" : lengthAllowed(type, length);
    if (verdict !== "ok") {
      this.failed = { kind: verdict, type, length };
      return next;
    }
    this.type = type as FrameTypeCode;
    this.id = readU32(source, start + OFFSET.id);
    this.remaining = length;
    return next;
  }

  private takePayload(part: Uint8Array, sink: FrameSink): void {
    if (this.remaining === 0 && this.gathered === null) {
      this.finish(sink, part);
      return;
    }
    if (this.gathered === null) {
      this.gathered = new Uint8Array(part.length + this.remaining);
      this.gatheredLength = 0;
    }
    this.gathered.set(part, this.gatheredLength);
    this.gatheredLength += part.length;
    if (this.remaining > 0) return;
    const whole = this.gathered;
    this.gathered = null;
    this.finish(sink, whole);
  }

  private finish(sink: FrameSink, payload: Uint8Array): void {
    const type = this.type as FrameTypeCode;
    this.type = 0;
    sink.onFrame(type, this.id, payload);
  }
}
