const POLYNOMIAL_REFLECTED = 0xedb8_8320;
const BITS_PER_BYTE = 8;

/** CRC-32 as in IEEE 802.3, zip and PNG, unsigned. Bit by bit: it serves short texts typed by people, not traffic. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < BITS_PER_BYTE; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) * POLYNOMIAL_REFLECTED);
  }
  return ~crc >>> 0;
}
