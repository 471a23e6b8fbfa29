import { createHash, randomBytes } from "node:crypto";

/** 256 bits: cannot be guessed, online or offline. */
const SECRET_BYTES = 32;
const ID_BYTES = 8;

export function newId(): string {
  return randomBytes(ID_BYTES).toString("hex");
}

/** A secret as text, for a cookie, a header or a link. It is shown once; the store keeps `hashOfSecret` of it. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/**
 * SHA-256 without salt or stretching is right here: those slow down guessing at passwords people choose, and 256 random bits
 * cannot be guessed at any speed. Whoever reads the database cannot use what is in it.
 */
export function hashOfSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
