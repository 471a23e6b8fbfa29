/** Bytes that arrive in pieces, in one buffer that doubles as it grows: any split costs linear time. */
export interface Gather {
  /** Adds a copy of the chunk; returns everything so far, a view that is good until the next call. */
  append(chunk: Uint8Array): Uint8Array;
  /** Everything so far. */
  bytes(): Uint8Array;
  /** Forgets the first `count` bytes. */
  consume(count: number): void;
}

const FIRST_CAPACITY = 256;

export function newGather(): Gather {
  let buffer = new Uint8Array(0);
  let start = 0;
  let end = 0;
  return {
    append(chunk) {
      if (end + chunk.length > buffer.length) {
        const kept = end - start;
        const grown = new Uint8Array(Math.max(FIRST_CAPACITY, 2 * (kept + chunk.length)));
        grown.set(buffer.subarray(start, end));
        buffer = grown;
        start = 0;
        end = kept;
      }
      buffer.set(chunk, end);
      end += chunk.length;
      return buffer.subarray(start, end);
    },
    bytes: () => buffer.subarray(start, end),
    consume(count) {
      start = Math.min(end, start + count);
    },
  };
}
