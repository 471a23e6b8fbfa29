import { err, ok, type Result } from "../../wire/result.ts";
import { formatKey, KEY_BYTES, type WgKey } from "../../wire/wireguard/key.ts";

/** A peer's, made in this browser. Of these the gateway gets the public and the preshared one (decision 0019). */
export interface PeerKeys {
  readonly privateKey: WgKey;
  readonly publicKey: WgKey;
  readonly presharedKey: WgKey;
}

/** insecure: over plain HTTP browsers give pages no WebCrypto. unknown: this one is older than its X25519. */
export type KeyFault = "insecure" | "unknown";

/** What WebCrypto has here; absent over plain HTTP, whatever the types say. */
function subtleOf(): SubtleCrypto | undefined {
  return globalThis.crypto.subtle;
}

export async function makeKeys(): Promise<Result<PeerKeys, KeyFault>> {
  const subtle = subtleOf();
  if (subtle === undefined) return err("insecure");
  try {
    const pair = await subtle.generateKey("X25519", true, ["deriveBits"]);
    if (!("privateKey" in pair)) return err("unknown");
    const [{ d = "" }, publicBytes] = await Promise.all([
      subtle.exportKey("jwk", pair.privateKey),
      subtle.exportKey("raw", pair.publicKey),
    ]);
    return ok({
      privateKey: formatKey(clamp(fromBase64Url(d))),
      publicKey: formatKey(new Uint8Array(publicBytes)),
      presharedKey: formatKey(globalThis.crypto.getRandomValues(new Uint8Array(KEY_BYTES))),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") return err("unknown");
    throw error;
  }
}

/** RFC 7748 section 5: X25519 takes a scalar so anyway. Written so, `wg` shows the key as it is in the file. */
function clamp(scalar: Uint8Array): Uint8Array {
  const clamped = Uint8Array.from(scalar);
  const last = KEY_BYTES - 1;
  clamped[0] = (clamped[0] ?? 0) & 0b1111_1000;
  clamped[last] = ((clamped[last] ?? 0) & 0b0111_1111) | 0b0100_0000;
  return clamped;
}

function fromBase64Url(text: string): Uint8Array {
  const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
