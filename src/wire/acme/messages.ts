import { parseJson } from "../json.ts";
import { err, ok, type Result } from "../result.ts";
import { z } from "../zod.ts";

/** What an ACME server says (RFC 8555): JSON of a stranger, checked here. What is not listed is not looked at. */

const MAX_URL_CHARS = 2_048;
const MAX_DETAIL_CHARS = 400;
const MAX_IDENTIFIERS = 100;
const MAX_CHALLENGES = 20;

/** Ways to prove a name: by plain HTTP (RFC 8555 section 8.3), and in a handshake of TLS (RFC 8737). */
export const CHALLENGE_TYPES = ["http-01", "tls-alpn-01"] as const;
export type ChallengeType = (typeof CHALLENGE_TYPES)[number];

/** What a CA that proves a name by tls-alpn-01 offers in its hello, and nothing beside it (RFC 8737 section 3). */
export const ACME_TLS_PROTOCOL = "acme-tls/1";

/** All of it goes by HTTPS (section 6.1). */
const url = z
  .string()
  .max(MAX_URL_CHARS)
  .refine((text) => URL.parse(text)?.protocol === "https:");

/** Section 7.1.1. */
export const AcmeDirectory = z.object({ newNonce: url, newAccount: url, newOrder: url });
export type AcmeDirectory = z.infer<typeof AcmeDirectory>;

/** RFC 7807, with the types of RFC 8555 section 6.7. */
export const AcmeProblem = z.object({
  type: z.string().max(MAX_URL_CHARS).catch("about:blank"),
  detail: z
    .string()
    .transform((text) => text.slice(0, MAX_DETAIL_CHARS))
    .catch(""),
});
export type AcmeProblem = z.infer<typeof AcmeProblem>;

/** Section 7.1.3. */
export const AcmeOrder = z.object({
  status: z.enum(["pending", "ready", "processing", "valid", "invalid"]),
  authorizations: z.array(url).max(MAX_IDENTIFIERS),
  finalize: url,
  certificate: url.exactOptional(),
  error: AcmeProblem.exactOptional(),
});
export type AcmeOrder = z.infer<typeof AcmeOrder>;

/**
 * Section 8.3: at least 128 bits, base64url. It becomes part of a path and of an answer, so nothing else is let through.
 */
const TOKEN = /^[A-Za-z0-9_-]{22,256}$/;

const AcmeChallenge = z.object({
  type: z.string().max(64),
  url: url.exactOptional(),
  status: z.string().max(64),
  token: z.string().regex(TOKEN).exactOptional(),
  error: AcmeProblem.exactOptional(),
});
export type AcmeChallenge = z.infer<typeof AcmeChallenge>;

/** Section 7.1.4. */
export const AcmeAuthorization = z.object({
  status: z.enum(["pending", "valid", "invalid", "deactivated", "expired", "revoked"]),
  identifier: z.object({ value: z.string().max(255) }),
  challenges: z.array(AcmeChallenge).max(MAX_CHALLENGES),
});
export type AcmeAuthorization = z.infer<typeof AcmeAuthorization>;

/** The error is a phrase for "the server answered with …". */
export function decodeAcme<T>(schema: z.ZodType<T>, text: string): Result<T, string> {
  const json = parseJson(text);
  if (json === undefined) return err("what is not JSON");
  const parsed = schema.safeParse(json);
  if (parsed.success) return ok(parsed.data);
  const path = parsed.error.issues[0]?.path.join(".") ?? "";
  return err(path === "" ? "another object than RFC 8555 has" : `a "${path}" that RFC 8555 does not have`);
}

const PROBLEM_PREFIX = "urn:ietf:params:acme:error:";

/** `badNonce`, `rateLimited`, …; null = none of RFC 8555's. */
export function acmeErrorName({ type }: AcmeProblem): string | null {
  return type.startsWith(PROBLEM_PREFIX) ? type.slice(PROBLEM_PREFIX.length) : null;
}

const CHALLENGE_PATH = "/.well-known/acme-challenge/";

/** The token that a path of http-01 names (section 8.3); null = it is no such path. */
export function challengeToken(path: string): string | null {
  if (!path.startsWith(CHALLENGE_PATH)) return null;
  const token = path.slice(CHALLENGE_PATH.length);
  return TOKEN.test(token) ? token : null;
}

const MS_PER_SEC = 1_000;

/** Retry-After (RFC 9110 section 10.2.3) as the time that it names; null = there is none, or it is not one. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header)) return nowMs + Number(header) * MS_PER_SEC;
  const atMs = Date.parse(header);
  return Number.isNaN(atMs) ? null : atMs;
}
