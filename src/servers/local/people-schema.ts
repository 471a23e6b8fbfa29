import { MAX_NAME_CHARS } from "../../core/access/name.ts";
import { ROLES } from "../../core/access/rights.ts";
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

export const ResetRequest = z.strictObject({ name: z.string().min(1).max(MAX_NAME_CHARS), lifetimeSec });
export type ResetRequest = z.infer<typeof ResetRequest>;

/** Good once. Without the console's address where the relay does not know it: `/invite#…`, `/reset#…`. */
export const LinkReply = z.object({ link: z.string() });
