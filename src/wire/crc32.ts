const POLYNOMIAL_REFLECTED = 0xedb8_8320;
const BITS_PER_BYTE = 8;
const BYTE_VALUES = 256;
const BYTE_MASK = 0xff;

/** What each value of a byte does to the remainder: a STUN datagram (1,500 bytes) takes a byte a step, not a bit. */
const STEPS = Uint32Array.from({ length: BYTE_VALUES }, (_, value) => {
  let crc = value;
  for (let bit = 0; bit < BITS_PER_BYTE; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) * POLYNOMIAL_REFLECTED);
  return crc >>> 0;
});

/** CRC-32 as in IEEE 802.3, zip, PNG and STUN, unsigned. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crc >>> BITS_PER_BYTE) ^ (STEPS[(crc ^ byte) & BYTE_MASK] ?? 0);
  return ~crc >>> 0;
}
