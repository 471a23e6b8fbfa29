import { createHash, timingSafeEqual } from "node:crypto";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Are these the credentials that were required? Digests of equal length are compared in constant time, so that the
 * answer's delay says nothing about how much of a guess was right, nor how long the password is.
 */
export function sameCredentials(required: Credentials, given: Credentials): boolean {
  const username = timingSafeEqual(digest(required.username), digest(given.username));
  const password = timingSafeEqual(digest(required.password), digest(given.password));
  return username && password;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
