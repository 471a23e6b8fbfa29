/** A small seeded generator (mulberry32): the same seed gives the same run on every machine. */
export interface Random {
  /** An integer from 0 to `bound` − 1; 0 when `bound` is below 2. */
  below(bound: number): number;
}

export function newRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    below(bound) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      const fraction = ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
      return Math.floor(fraction * bound);
    },
  };
}

/** FNV-1a, 32 bits. */
export function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
