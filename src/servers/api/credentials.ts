import { createHash, timingSafeEqual } from "node:crypto";
import type { AccessBackend, BegunSession, Origin, Principal } from "./backend.ts";

/** Who asks, and by what. */
export interface Asker {
  readonly who: Principal;
  /** Null: a token. */
  readonly session: HeldSession | null;
}

export interface HeldSession {
  readonly secret: string;
  readonly csrf: string;
  readonly expiresMs: number;
}

/** What a request shows for itself. */
export type Shown = { readonly kind: "session" | "token"; readonly secret: string } | null;

/** RFC 6265bis §4.1.3.2: with the prefix no other host and no plain HTTP can set it. */
const SECURE_COOKIE = "__Host-hatchway";
const PLAIN_COOKIE = "hatchway";
const MAX_SECRET_CHARS = 1_024;
const VISIBLE = /^[\x21-\x7e]+$/;

export function cookieName(tls: boolean): string {
  return tls ? SECURE_COOKIE : PLAIN_COOKIE;
}

/**
 * A token goes before a cookie, and a wrong token is not made up for by a cookie: one principal, named by one thing. Two
 * cookies of the name are none: one of them was planted.
 */
export function shownCredential(headers: Headers, tls: boolean): Shown {
  const authorization = headers.get("authorization");
  if (authorization !== null) {
    const secret = /^Bearer +(.*)$/i.exec(authorization)?.[1];
    return isSecret(secret) ? { kind: "token", secret } : null;
  }
  const values = cookieValues(headers.get("cookie") ?? "", cookieName(tls));
  const [secret] = values;
  return values.length === 1 && isSecret(secret) ? { kind: "session", secret } : null;
}

function isSecret(text: string | undefined): text is string {
  return text !== undefined && text.length <= MAX_SECRET_CHARS && VISIBLE.test(text);
}

function cookieValues(header: string, name: string): string[] {
  return header
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}

/** Null: it is nobody's (any more). */
export async function askerOf(access: AccessBackend, shown: Shown, origin: Origin): Promise<Asker | null> {
  if (shown === null) return null;
  if (shown.kind === "token") {
    const who = await access.byToken(shown.secret, origin);
    return who === null ? null : { who, session: null };
  }
  const held = await access.bySession(shown.secret, origin);
  if (held === null) return null;
  return { who: held.principal, session: { secret: shown.secret, csrf: held.csrf, expiresMs: held.expiresMs } };
}

/** `Set-Cookie` for a session. Strict: another site's links and forms come without it. */
export function sessionCookie({ secret, session }: BegunSession, tls: boolean, nowMs: number): string {
  const lifeSec = Math.max(0, Math.floor((session.expiresMs - nowMs) / 1_000));
  return `${cookieName(tls)}=${secret}; Max-Age=${lifeSec}; ${attributes(tls)}`;
}

export function endedCookie(tls: boolean): string {
  return `${cookieName(tls)}=; Max-Age=0; ${attributes(tls)}`;
}

function attributes(tls: boolean): string {
  return `Path=/; HttpOnly; SameSite=Strict${tls ? "; Secure" : ""}`;
}

/** Digests of equal length: how long the comparison takes says nothing of the secret. */
export function isSameSecret(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
