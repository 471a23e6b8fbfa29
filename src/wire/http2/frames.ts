/**
 * Frames of HTTP/2 (RFC 9113 §4.1, §6), seen from outside: their heads are read, and what is in them is passed over. For
 * whoever counts frames before another program takes them apart.
 *
 * | offset | bytes | what |
 * |---|---|---|
 * | 0 | 3 | length of what follows the head |
 * | 3 | 1 | type |
 * | 4 | 1 | flags |
 * | 5 | 4 | stream, without the highest bit |
 */
export const FRAME_HEAD_BYTES = 9;
/** What a client says first (§3.4). */
export const PREFACE = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const OFFSET = { length: 0, type: 3, flags: 4, stream: 5 } as const;
const STREAM_MASK = 0x7fff_ffff;

const KINDS = [
  "data",
  "headers",
  "priority",
  "reset",
  "settings",
  "push",
  "ping",
  "goaway",
  "window",
  "continuation",
] as const;
/** `other`: types that others define, which are to be ignored (§5.5). */
export type FrameKind = (typeof KINDS)[number] | "other";

export const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8 } as const;

export interface FrameHead {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payloadBytes: number;
}

export function kindOf({ type }: Pick<FrameHead, "type">): FrameKind {
  return KINDS[type] ?? "other";
}

export function typeOf(kind: Exclude<FrameKind, "other">): number {
  return KINDS.indexOf(kind);
}

export function encodeFrameHead({ type, flags, stream, payloadBytes }: FrameHead): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  // Four bytes, whose last one the type takes the place of.
  view.setUint32(OFFSET.length, payloadBytes * 256);
  view.setUint8(OFFSET.type, type);
  view.setUint8(OFFSET.flags, flags);
  view.setUint32(OFFSET.stream, stream);
  return bytes;
}

/** Finds the heads in what a client sends, from its preface on, in pieces of any size. Keeps 9 bytes. */
export class FrameReader {
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  readonly #view = new DataView(this.#head.buffer);
  #have = 0;
  /** Bytes to pass over: of the preface, of a payload. */
  #skip = PREFACE.length;

  /** Calls `onHead` for each head that is whole now. False = `onHead` returned false: the rest was not looked at. */
  feed(bytes: Uint8Array, onHead: (head: FrameHead) => boolean): boolean {
    let at = 0;
    while (at < bytes.length) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, bytes.length - at);
        this.#skip -= passed;
        at += passed;
        continue;
      }
      this.#head[this.#have] = bytes[at] as number;
      this.#have += 1;
      at += 1;
      if (this.#have < FRAME_HEAD_BYTES) continue;
      this.#have = 0;
      const head = this.#decode();
      this.#skip = head.payloadBytes;
      if (!onHead(head)) return false;
    }
    return true;
  }

  #decode(): FrameHead {
    return {
      payloadBytes: this.#view.getUint32(OFFSET.length) >>> 8,
      type: this.#view.getUint8(OFFSET.type),
      flags: this.#view.getUint8(OFFSET.flags),
      stream: this.#view.getUint32(OFFSET.stream) & STREAM_MASK,
    };
  }
}
