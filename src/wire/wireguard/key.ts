import { err, ok, type Result } from "../result.ts";
import type { TextError } from "../text-error.ts";

/** A WireGuard key, private, public or preshared: 32 bytes in base64, the one spelling that `wg` takes. Made only here. */
export type WgKey = string & { readonly __brand: "WgKey" };

export const KEY_BYTES = 32;
/** 42 characters of 6 bits, one of which the last 2 bits are spare and zero, and the padding. */
const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** All zeros: what `wg` takes for "no preshared key" (wg(8), `preshared-key`). */
export const NO_KEY = formatKey(new Uint8Array(KEY_BYTES));

/** The error does not repeat the text: it may be a secret with a slip in it. */
export function parseKey(text: string): Result<WgKey, TextError> {
  if (KEY.test(text)) return ok(text as WgKey);
  const message = 'A WireGuard key is 44 characters of base64 that end in "=", as wg genkey and wg pubkey print it.';
  return err({ message, offset: 0, length: text.length });
}

/** Throws on another length than 32: the bytes come from this program. */
export function formatKey(bytes: Uint8Array): WgKey {
  if (bytes.length !== KEY_BYTES) throw new RangeError(`a WireGuard key has ${KEY_BYTES} bytes, not ${bytes.length}`);
  return btoa(String.fromCharCode(...bytes)) as WgKey;
}

export function keyBytes(key: WgKey): Uint8Array {
  return Uint8Array.from(atob(key), (character) => character.charCodeAt(0));
}
