import type { Random } from "./random.ts";

export const MAX_INPUT_BYTES = 2048;
const MAX_EDITS = 4;
const MAX_RUN_BYTES = 32;
const POOL_SIZE = 128;
/** Values that sit at the edge of something: signs, lengths, separators, the ends of line. */
const EDGE_BYTES = [
  0, 1, 2, 4, 5, 9, 10, 13, 32, 37, 44, 45, 46, 47, 48, 57, 58, 91, 93, 127, 128, 192, 254, 255,
] as const;
const EDGE_U16 = [0, 1, 127, 128, 255, 256, 1400, 16_383, 16_384, 32_767, 32_768, 65_507, 65_534, 65_535] as const;
const EDGE_U32 = [0, 1, 0xff, 0xffff, 0x10000, 0x100000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff] as const;

export interface Mutator {
  /** A fresh input made of the seeds. */
  next(): Uint8Array;
  /** The codec took this input: later ones may grow from it. */
  keep(input: Uint8Array): void;
}

/** Deterministic for a seeded Random and the same calls of `keep`. */
export function newMutator(seeds: readonly Uint8Array[], random: Random): Mutator {
  const kept: Uint8Array[] = [];
  const scratch = new Uint8Array(MAX_INPUT_BYTES);
  const view = new DataView(scratch.buffer);
  let length = 0;

  function pick(): Uint8Array {
    const fromKept = kept.length > 0 && random.below(2) === 0;
    const pool = fromKept ? kept : seeds;
    return pool[random.below(pool.length)] ?? new Uint8Array();
  }

  /** Opens a gap of `size` bytes at `at`, as far as there is room; returns its size. */
  function open(at: number, size: number): number {
    const fits = Math.min(size, MAX_INPUT_BYTES - length);
    scratch.copyWithin(at + fits, at, length);
    length += fits;
    return fits;
  }

  const edits: readonly (() => void)[] = [
    function flipBit() {
      const at = random.below(length);
      scratch[at] = (scratch[at] ?? 0) ^ (1 << random.below(8));
    },
    function setEdgeByte() {
      scratch[random.below(length)] = EDGE_BYTES[random.below(EDGE_BYTES.length)] ?? 0;
    },
    function addToByte() {
      const at = random.below(length);
      scratch[at] = (scratch[at] ?? 0) + random.below(9) - 4;
    },
    function truncate() {
      length = random.below(length + 1);
    },
    function remove() {
      const at = random.below(length);
      const size = Math.min(length - at, 1 + random.below(MAX_RUN_BYTES));
      scratch.copyWithin(at, at + size, length);
      length -= size;
    },
    function insert() {
      const at = random.below(length + 1);
      const size = open(at, 1 + random.below(4));
      for (let offset = 0; offset < size; offset++) {
        const edge = random.below(2) === 0;
        scratch[at + offset] = edge ? (EDGE_BYTES[random.below(EDGE_BYTES.length)] ?? 0) : random.below(256);
      }
    },
    function repeat() {
      const from = random.below(length);
      const run = scratch.slice(from, Math.min(length, from + 1 + random.below(MAX_RUN_BYTES)));
      const times = random.below(8) === 0 ? 1 + random.below(40) : 1;
      for (let count = 0; count < times; count++) {
        const size = open(from, run.length);
        scratch.set(run.subarray(0, size), from);
      }
    },
    function splice() {
      const other = pick();
      const at = random.below(length + 1);
      const from = random.below(other.length);
      const tail = other.subarray(from, from + MAX_INPUT_BYTES - at);
      scratch.set(tail, at);
      length = at + tail.length;
    },
    function setLength8() {
      const at = random.below(length);
      scratch[at] = length - at - 1 + random.below(3) - 1;
    },
    function setLength16() {
      if (length < 2) return;
      const at = random.below(length - 1);
      const near = length - at - 2 + random.below(3) - 1;
      view.setUint16(at, random.below(2) === 0 ? near : (EDGE_U16[random.below(EDGE_U16.length)] ?? 0));
    },
    function setLength32() {
      if (length < 4) return;
      const at = random.below(length - 3);
      const near = length - at - 4 + random.below(3) - 1;
      view.setUint32(at, random.below(2) === 0 ? near : (EDGE_U32[random.below(EDGE_U32.length)] ?? 0));
    },
  ];

  return {
    next() {
      const base = pick().subarray(0, MAX_INPUT_BYTES);
      scratch.set(base);
      length = base.length;
      for (let left = 1 + random.below(MAX_EDITS); left > 0; left--) edits[random.below(edits.length)]?.();
      return scratch.slice(0, length);
    },
    keep(input) {
      if (kept.length < POOL_SIZE) kept.push(input);
      else if (random.below(16) === 0) kept[random.below(POOL_SIZE)] = input;
    },
  };
}
