import { bearerToken } from "../bearer.ts";
import type { AccessBackend, BegunSession, Origin, Principal } from "./backend.ts";
import { PAGE_KEY_HEADER } from "./protocol.ts";

/** Who asks, and by what. */
export interface Asker {
  readonly who: Principal;
  /** Null: a token. */
  readonly session: HeldSession | null;
}

export interface HeldSession {
  readonly secret: string;
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
    const secret = bearerToken(authorization);
    return isSecret(secret) ? { kind: "token", secret } : null;
  }
  const values = cookieValues(headers.get("cookie") ?? "", cookieName(tls));
  const [cookie] = values;
  const key = headers.get(PAGE_KEY_HEADER) ?? undefined;
  return values.length === 1 && isSecret(cookie) && isSecret(key) ? { kind: "session", secret: cookie + key } : null;
}

function isSecret(text: string | null | undefined): text is string {
  return text != null && text.length <= MAX_SECRET_CHARS && VISIBLE.test(text);
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
  return { who: held.principal, session: { secret: shown.secret, expiresMs: held.expiresMs } };
}

/** `Set-Cookie` for a session. Strict: another site's links and forms come without it. */
export function sessionCookie(
  { secret, session }: { readonly secret: string; readonly session: Pick<BegunSession["session"], "expiresMs"> },
  tls: boolean,
  nowMs: number,
): string {
  const lifeSec = Math.max(0, Math.floor((session.expiresMs - nowMs) / 1_000));
  return `${cookieName(tls)}=${halves(secret).cookie}; Max-Age=${lifeSec}; ${attributes(tls)}`;
}

/** The half of a session's secret that the page keeps. */
export function pageKeyOf(secret: string): string {
  return halves(secret).pageKey;
}

/** Each is 128 bits of a secret of 256, and says nothing of the other. */
function halves(secret: string): { readonly cookie: string; readonly pageKey: string } {
  const middle = secret.length >> 1;
  return { cookie: secret.slice(0, middle), pageKey: secret.slice(middle) };
}

export function endedCookie(tls: boolean): string {
  return `${cookieName(tls)}=; Max-Age=0; ${attributes(tls)}`;
}

function attributes(tls: boolean): string {
  return `Path=/; HttpOnly; SameSite=Strict${tls ? "; Secure" : ""}`;
}
