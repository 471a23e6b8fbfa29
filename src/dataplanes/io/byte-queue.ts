/** A block of the queue; bytes [start, end) wait. */
interface Block {
  readonly bytes: Uint8Array;
  start: number;
  end: number;
}

/**
 * Small writes behind others share a block of this size, so that a queue of many small pieces costs little more than
 * its bytes. The first write gets a block of its own size: often one early request is all that is ever queued.
 */
const BLOCK_BYTES = 16_384;
/** A large write is cut into blocks of this size: each is free as soon as it has left, not when the last of them has. */
const MAX_BLOCK_BYTES = 65_536;

/**
 * First in, first out, of copied bytes. `length` is exact; whoever fills it keeps it bounded (ByteEnd.backlog).
 */
export class ByteQueue {
  #blocks: Block[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies `bytes` to the end of the queue. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#length += bytes.length;
    const last = this.#blocks.at(-1);
    let rest = bytes;
    if (last !== undefined) {
      const room = Math.min(last.bytes.length - last.end, rest.length);
      if (room > 0) {
        last.bytes.set(room === rest.length ? rest : rest.subarray(0, room), last.end);
        last.end += room;
        rest = rest.subarray(room);
        if (rest.length === 0) return;
      }
    }
    const least = last === undefined ? 0 : BLOCK_BYTES;
    for (let at = 0; at < rest.length; at += MAX_BLOCK_BYTES) {
      const piece = rest.subarray(at, at + MAX_BLOCK_BYTES);
      const block = new Uint8Array(Math.max(piece.length, least));
      block.set(piece);
      this.#blocks.push({ bytes: block, start: 0, end: piece.length });
    }
  }

  /** The first waiting bytes, a view valid until the next `consume`; null when empty. */
  peek(): Uint8Array | null {
    const first = this.#blocks[0];
    return first === undefined ? null : first.bytes.subarray(first.start, first.end);
  }

  /** Drops the first `count` bytes; `count` is at most what `peek` returned. */
  consume(count: number): void {
    const first = this.#blocks[0];
    if (first === undefined) return;
    first.start += count;
    this.#length -= count;
    if (first.start === first.end) this.#blocks.shift();
  }

  clear(): void {
    this.#blocks = [];
    this.#length = 0;
  }
}
