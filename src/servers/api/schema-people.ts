import { z } from "../../wire/zod.ts";
import { id, name, portSet, secret, timeMs } from "./shapes.ts";

/** Who may ask, and by what: sign-in and second factors, people and their accounts, invitations, tokens. As schema.ts otherwise. */

/** admin: everything. user: what is their account's. viewer: looks at what is their account's. */
export const Role = z.enum(["admin", "user", "viewer"]);
export type Role = z.infer<typeof Role>;
/** What a token may do of what its owner may: read all of it; change forwards; change everything else as well. */
export const Scope = z.enum(["read", "forwards", "all"]);
export type Scope = z.infer<typeof Scope>;

export const Me = z.object({
  id,
  name,
  role: Role,
  /** The account that owns the person's devices and forwards. */
  account: z.object({ id, name }),
  /** Null: a person. */
  token: z.object({ id, name, scopes: z.array(Scope).readonly(), expiresMs: timeMs.nullable() }).nullable(),
  hasTotp: z.boolean(),
  passkeys: z.int(),
});
export type Me = z.infer<typeof Me>;

/**
 * `pageKey` goes back as the header `X-Hatchway-Page-Key` with every request: the cookie is half of what proves a session, and
 * this is the other. Browsers send a cookie to every port of its host; what a page keeps is its own origin's.
 */
export const Session = z.object({ me: Me, pageKey: z.string(), expiresMs: timeMs });
export type Session = z.infer<typeof Session>;

/** `code`: of an authenticator app, when the answer before asked for one (`PROBLEM_TYPES.totp`). */
export const SignIn = z.strictObject({
  name: secret,
  password: secret,
  code: z.string().min(6).max(16).exactOptional(),
});
export type SignIn = z.infer<typeof SignIn>;
export const MIN_PASSWORD_CHARS = 10;
const newPassword = z.string().min(MIN_PASSWORD_CHARS).max(1_024);
/** `needed`: there is no administrator yet, and the one-time link of the first start waits. */
export const Setup = z.object({ needed: z.boolean() });
/** Takes the one-time link of the first start, or an invitation. */
export const Redeem = z.strictObject({ token: secret, name, password: newPassword });
export type Redeem = z.infer<typeof Redeem>;
export const PasswordChange = z.strictObject({ current: secret, next: newPassword });
export const TotpSetup = z.object({ /** Base32. */ secret: z.string(), /** otpauth://… */ uri: z.string() });
/** Takes the authenticator app away. */
export const PasswordProof = z.strictObject({ password: secret });
export const TotpConfirm = z.strictObject({ code: z.string().min(6).max(8) });
/** WebAuthn's own JSON (PublicKeyCredentialCreationOptionsJSON and its like): passed to and from the browser as it is. */
export const WebAuthnJson = z.record(z.string(), z.unknown());
export const PasskeyChallenge = z.object({ challengeId: id, options: WebAuthnJson });
export const PasskeyAnswer = z.strictObject({ challengeId: id, response: WebAuthnJson, name: name.exactOptional() });
export const Passkey = z.object({ id, name, createdMs: timeMs, lastUsedMs: timeMs.nullable() });
export const SignedInSession = z.object({
  id,
  address: z.string(),
  userAgent: z.string(),
  createdMs: timeMs,
  lastSeenMs: timeMs,
  /** This is the one that asks. */
  current: z.boolean(),
});

export const User = z.object({
  id,
  name,
  role: Role,
  account: z.object({ id, name }),
  createdMs: timeMs,
  lastSeenMs: timeMs.nullable(),
  disabled: z.boolean(),
  hasTotp: z.boolean(),
  passkeys: z.int(),
  /** Of the account; null = no limit, and the relay's whole pool. */
  quota: z.object({
    ports: z.string().nullable(),
    maxForwards: z.int().nullable(),
    maxPorts: z.int().nullable(),
    maxDevices: z.int().nullable(),
    /** Of all that the account's forwards carry together, both directions. */
    bandwidthBytesPerSec: z.int().nullable(),
  }),
});
export type User = z.infer<typeof User>;
export const UserPatch = z.strictObject({
  role: Role.exactOptional(),
  disabled: z.boolean().exactOptional(),
  quota: z
    .strictObject({
      ports: portSet.nullable().exactOptional(),
      maxForwards: z.int().min(0).nullable().exactOptional(),
      maxPorts: z.int().min(0).nullable().exactOptional(),
      maxDevices: z.int().min(0).nullable().exactOptional(),
      /** `10 MB/s`, `100 Mbit/s`. */
      bandwidth: z.string().max(32).nullable().exactOptional(),
    })
    .exactOptional(),
});
export type UserPatch = z.infer<typeof UserPatch>;
export const Invite = z.object({
  id,
  role: Role,
  /** Null: the person gets an account of their own. */
  account: z.object({ id, name }).nullable(),
  createdMs: timeMs,
  expiresMs: timeMs,
});
export type Invite = z.infer<typeof Invite>;
export const InviteDraft = z.strictObject({
  role: Role,
  /** Name or id of an account to share; absent = an account of their own. */
  account: id.exactOptional(),
  lifetimeSec: z
    .int()
    .min(60)
    .max(30 * 86_400)
    .default(86_400),
});
export type InviteDraft = z.infer<typeof InviteDraft>;
/** `link` is shown once. */
export const MadeInvite = z.object({ invite: Invite, link: z.string() });

export const Token = z.object({
  id,
  name,
  scopes: z.array(Scope).readonly(),
  createdMs: timeMs,
  expiresMs: timeMs.nullable(),
  lastUsedMs: timeMs.nullable(),
});
export type Token = z.infer<typeof Token>;
export const TokenDraft = z.strictObject({
  name,
  scopes: z.array(Scope).min(1).max(3),
  /** Null = until it is removed. */
  lifetimeSec: z.int().min(60).nullable(),
});
export type TokenDraft = z.infer<typeof TokenDraft>;
/** `secret` is shown once: `Authorization: Bearer SECRET`. */
export const MadeToken = z.object({ token: Token, secret: z.string() });
