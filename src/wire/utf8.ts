const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Null when the bytes are not well-formed UTF-8: what decodes encodes to the same bytes. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null; // the only failure of a fatal decoder is malformed text
  }
}
