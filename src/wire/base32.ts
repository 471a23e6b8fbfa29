/** Base32 (RFC 4648 section 6), lower case, without padding. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const VALUES = new Map([...ALPHABET].map((character, value) => [character, value]));
const BITS_PER_CHARACTER = 5;
const BITS_PER_BYTE = 8;
const CHARACTER_MASK = 0b1_1111;
const BYTE_MASK = 0xff;

export function encodeBase32(bytes: Uint8Array): string {
  let text = "";
  let pending = 0;
  let pendingBits = 0;
  for (const byte of bytes) {
    pending = ((pending << BITS_PER_BYTE) | byte) & 0xffff;
    pendingBits += BITS_PER_BYTE;
    while (pendingBits >= BITS_PER_CHARACTER) {
      pendingBits -= BITS_PER_CHARACTER;
      text += ALPHABET.charAt((pending >> pendingBits) & CHARACTER_MASK);
    }
  }
  if (pendingBits > 0) text += ALPHABET.charAt((pending << (BITS_PER_CHARACTER - pendingBits)) & CHARACTER_MASK);
  return text;
}

/**
 * Null when a character is none of base32's. `exact` = the text is the one spelling of `bytes`: the spare bits of its
 * last character are zero and it has no character too many (a clipped text usually has).
 */
export function decodeBase32(
  text: string,
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly exact: boolean } | null {
  const bytes = new Uint8Array(Math.floor((text.length * BITS_PER_CHARACTER) / BITS_PER_BYTE));
  let at = 0;
  let pending = 0;
  let pendingBits = 0;
  for (const character of text) {
    const value = VALUES.get(character);
    if (value === undefined) return null;
    pending = ((pending << BITS_PER_CHARACTER) | value) & 0xffff;
    pendingBits += BITS_PER_CHARACTER;
    if (pendingBits < BITS_PER_BYTE) continue;
    pendingBits -= BITS_PER_BYTE;
    bytes[at] = (pending >> pendingBits) & BYTE_MASK;
    at += 1;
  }
  const spare = pending & ((1 << pendingBits) - 1);
  return { bytes, exact: spare === 0 && pendingBits < BITS_PER_CHARACTER };
}
