/**
 * Hashes of passwords as people may hand them in: argon2id (RFC 9106) in PHC form, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.
 * Whoever checks a password pays what the hash asks for, so it may not ask for just anything.
 */
const FORM = /^\$argon2id\$v=19\$m=(\d{1,10}),t=(\d{1,4}),p=(\d{1,3})\$[A-Za-z0-9+/]{8,}\$[A-Za-z0-9+/]{16,}$/;
const MAX_CHARS = 255;
/** RFC 9106 §4, the second recommended option; 64 MiB. */
const MAX_MEMORY_KIB = 65_536;
/** With that memory some 100 ms each. */
const MAX_PASSES = 10;
const MAX_LANES = 4;

/** It is one, and costs no more than a relay is ready to pay for a visitor. */
export function isPasswordHash(text: string): boolean {
  const found = text.length <= MAX_CHARS ? FORM.exec(text) : null;
  if (found === null) return false;
  const [memoryKiB = 0, passes = 0, lanes = 0] = found.slice(1).map(Number);
  return memoryKiB <= MAX_MEMORY_KIB && passes >= 1 && passes <= MAX_PASSES && lanes >= 1 && lanes <= MAX_LANES;
}
