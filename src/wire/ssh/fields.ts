import { decodeUtf8 } from "../utf8.ts";

const U32_BYTES = 4;
const U64_BYTES = 8;

/** Reads the data types of RFC 4251 §5 in turn. A read past the end returns null, and so does every one after it. */
export class Fields {
  #at = 0;
  #failed = false;

  constructor(readonly bytes: Uint8Array) {}

  /** Bytes read so far. */
  get at(): number {
    return this.#at;
  }

  /** Everything was there, and nothing is left. */
  get isDone(): boolean {
    return !this.#failed && this.#at === this.bytes.length;
  }

  get hasMore(): boolean {
    return !this.#failed && this.#at < this.bytes.length;
  }

  u32(): number | null {
    const bytes = this.#take(U32_BYTES);
    return bytes === null ? null : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  }

  u64(): bigint | null {
    const bytes = this.#take(U64_BYTES);
    return bytes === null ? null : new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
  }

  /** A view. */
  string(): Uint8Array | null {
    const length = this.u32();
    return length === null ? null : this.#take(length);
  }

  text(): string | null {
    const bytes = this.string();
    const text = bytes === null ? null : decodeUtf8(bytes);
    if (text === null) this.#failed = true;
    return text;
  }

  #take(length: number): Uint8Array | null {
    if (this.#failed || length > this.bytes.length - this.#at) {
      this.#failed = true;
      return null;
    }
    const from = this.#at;
    this.#at += length;
    return this.bytes.subarray(from, this.#at);
  }
}

/** The same types, written. */
export function encodeStrings(parts: readonly (Uint8Array | string)[]): Uint8Array {
  const encoded = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  const bytes = new Uint8Array(encoded.reduce((total, { length }) => total + U32_BYTES + length, 0));
  let at = 0;
  for (const part of encoded) {
    new DataView(bytes.buffer).setUint32(at, part.length);
    bytes.set(part, at + U32_BYTES);
    at += U32_BYTES + part.length;
  }
  return bytes;
}
