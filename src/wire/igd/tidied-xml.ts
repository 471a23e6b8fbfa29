import { decodeUtf8 } from "../utf8.ts";

/**
 * A router's document as XML: what is not UTF-8 is Latin-1, in which there are friendly names whatever the declaration
 * says, and the zeros with which some fill up their buffer are gone. Over `maxBytes` nothing is looked at.
 */
export function tidiedXml(bytes: Uint8Array, maxBytes: number): Uint8Array {
  let end = bytes.length;
  if (end > maxBytes) return bytes;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const used = bytes.subarray(0, end);
  if (decodeUtf8(used) !== null) return used;
  return new TextEncoder().encode(Array.from(used, (byte) => String.fromCharCode(byte)).join(""));
}
