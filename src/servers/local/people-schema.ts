import { MAX_NAME_CHARS } from "../../core/access/name.ts";
import { ROLES, SCOPES } from "../../core/access/rights.ts";
import { z } from "../../wire/zod.ts";

const role = z.enum(ROLES);
/** Milliseconds since the epoch. */
const timeMs = z.number();
const lifetimeSec = z.int().min(1);

/** Somebody who may sign in to the console. */
export const PersonInfo = z.object({
  id: z.string(),
  name: z.string(),
  role,
  account: z.string(),
  createdMs: timeMs,
  lastSeenMs: timeMs.nullable(),
  disabled: z.boolean(),
  hasTotp: z.boolean(),
  passkeys: z.int(),
});
export type PersonInfo = z.infer<typeof PersonInfo>;

export const InviteRequest = z.strictObject({
  role,
  /** Name or id; absent = an account of their own. */
  account: z.string().min(1).max(512).exactOptional(),
  lifetimeSec,
});
export type InviteRequest = z.infer<typeof InviteRequest>;

const person = z.string().min(1).max(MAX_NAME_CHARS);

export const ResetRequest = z.strictObject({ name: person, lifetimeSec });
export type ResetRequest = z.infer<typeof ResetRequest>;

/** Good once. Without the console's address where the relay does not know it: `/invite#…`, `/reset#…`. */
export const LinkReply = z.object({ link: z.string() });

/** What is absent stays as it is. */
export const PersonChange = z.strictObject({
  name: person,
  role: role.exactOptional(),
  disabled: z.boolean().exactOptional(),
});
export type PersonChange = z.infer<typeof PersonChange>;

export const PersonRequest = z.strictObject({ name: person });

/** What a program signs in to the API with, in a person's name. */
export const TokenInfo = z.object({
  id: z.string(),
  name: z.string(),
  /** Each has those before it. */
  scopes: z.array(z.enum(SCOPES)).readonly(),
  createdMs: timeMs,
  /** Null = until it is removed. */
  expiresMs: timeMs.nullable(),
  lastUsedMs: timeMs.nullable(),
});
export type TokenInfo = z.infer<typeof TokenInfo>;

/** `person`: by name, whose tokens; null = of whoever asks, where that is known. */
const whose = { person: person.nullable() };
export const TokensRequest = z.strictObject(whose);
export type TokensRequest = z.infer<typeof TokensRequest>;
export const TokenRequest = z.strictObject({
  ...whose,
  name: z.string().min(1).max(MAX_NAME_CHARS),
  scope: z.enum(SCOPES),
  /** Null = until it is removed. */
  lifetimeSec: z.int().min(60).nullable(),
});
export type TokenRequest = z.infer<typeof TokenRequest>;
export const TokenRemoval = z.strictObject({ ...whose, nameOrId: z.string().min(1).max(255) });
export type TokenRemoval = z.infer<typeof TokenRemoval>;

/** `secret` is shown once. */
export const TokenReply = z.object({ token: TokenInfo, secret: z.string() });
export type TokenReply = z.infer<typeof TokenReply>;
