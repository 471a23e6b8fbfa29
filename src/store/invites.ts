import type { Selectable } from "kysely";
import type { PersonName } from "../core/access/name.ts";
import type { AccessRole } from "../core/access/rights.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { FIRST_ACCOUNT_ID, findAccount, NO_LIMITS, toLimitColumns } from "./accounts.ts";
import { appendAudit, OPERATOR } from "./audit.ts";
import type { Db, InvitesTable } from "./schema.ts";
import { hashOfSecret, newId, newSecret } from "./secret.ts";
import { endSessions, findUser, hasAdminBut, type StoredUser } from "./users.ts";

/** A link that is good once. */
export interface StoredInvite {
  readonly id: string;
  /** setup: makes the first administrator. invite: one more person. reset: sets a new password and removes one-time codes. */
  readonly kind: "setup" | "invite" | "reset";
  readonly role: AccessRole;
  /** Null: the person gets an account of their own. */
  readonly account: { readonly id: string; readonly name: string } | null;
  /** Whose password is reset. */
  readonly userId: string | null;
  readonly createdMs: number;
  readonly expiresMs: number;
}

export type NewInvite =
  | { readonly kind: "setup"; readonly lifetimeSec: number }
  | {
      readonly kind: "invite";
      readonly role: AccessRole;
      /** Name or id; null = an account of their own. */
      readonly account: string | null;
      readonly lifetimeSec: number;
    }
  | { readonly kind: "reset"; readonly userId: string; readonly lifetimeSec: number };

export interface InviteRefusal {
  readonly kind: "unknown-account" | "unknown-user" | "set-up" | "full";
  /** One sentence that says what to do. */
  readonly message: string;
}

/** invalid: wrong, used, expired and removed are one. other-name: a reset is for the person of `name` alone. */
export type RedeemRefusal =
  | { readonly kind: "invalid" }
  | { readonly kind: "name-taken" }
  | { readonly kind: "other-name"; readonly name: string };

export interface MadeInvite {
  readonly invite: StoredInvite;
  /** Shown once. */
  readonly secret: string;
}

export interface Invites {
  /** A new link for the first administrator, or for one person's password, ends the one before. */
  create(request: NewInvite, nowMs: number, actor?: string): Promise<Result<MadeInvite, InviteRefusal>>;
  /** What it is for, without using it up; null when it is not good (any more). */
  find(secret: string, nowMs: number): Promise<StoredInvite | null>;
  /** Invitations only, oldest first. */
  list(nowMs: number): Promise<StoredInvite[]>;
  /** Ends the link of the first administrator: not good any more. */
  endSetup(): Promise<void>;
  /** False: there is no such invitation. */
  remove(id: string, nowMs: number, actor: string): Promise<boolean>;
  /** Makes the person, or sets their password. All or nothing: a refused link stays good. Of many at once one gets through. */
  redeem(
    secret: string,
    person: PersonName & { readonly passwordHash: string },
    nowMs: number,
  ): Promise<Result<StoredUser, RedeemRefusal>>;
}

/** Open invitations at once. */
const MAX_INVITES = 1_000;

export function invitesOn(db: Db): Invites {
  const inTransaction = <T>(work: (trx: Db) => Promise<T>): Promise<T> => db.transaction().execute(work);
  return {
    create: (request, nowMs, actor = OPERATOR) => inTransaction((trx) => createInvite(trx, request, nowMs, actor)),
    find: (secret, nowMs) => findInvite(db, secret, nowMs),
    async list(nowMs) {
      const rows = await selectInvites(db)
        .where("invites.kind", "=", "invite")
        .where("invites.expires_ms", ">", nowMs)
        .orderBy("invites.created_ms")
        .orderBy("invites.id")
        .execute();
      return rows.map(toInvite);
    },
    async endSetup() {
      await db.deleteFrom("invites").where("kind", "=", "setup").execute();
    },
    remove: (id, nowMs, actor) =>
      inTransaction(async (trx) => {
        const { numDeletedRows } = await trx
          .deleteFrom("invites")
          .where("id", "=", id)
          .where("kind", "=", "invite")
          .executeTakeFirstOrThrow();
        if (numDeletedRows === 0n) return false;
        await appendAudit(trx, { actor, action: "invite.removed", subject: `invite:${id}`, detail: {} }, nowMs);
        return true;
      }),
    redeem: (secret, person, nowMs) => inTransaction((trx) => redeemInvite(trx, secret, person, nowMs)),
  };
}

async function createInvite(
  trx: Db,
  request: NewInvite,
  nowMs: number,
  actor: string,
): Promise<Result<MadeInvite, InviteRefusal>> {
  await trx.deleteFrom("invites").where("expires_ms", "<=", nowMs).execute();
  const granted = await grantOf(trx, request);
  if (!granted.ok) return granted;
  const secret = newSecret();
  const row = {
    id: newId(),
    kind: request.kind,
    secret_hash: hashOfSecret(secret),
    ...granted.value,
    created_ms: nowMs,
    expires_ms: nowMs + request.lifetimeSec * 1000,
  };
  await trx.insertInto("invites").values(row).execute();
  const detail = {
    kind: row.kind,
    role: row.role,
    account: row.account_id,
    user: row.user_id,
    expiresMs: row.expires_ms,
  };
  await appendAudit(trx, { actor, action: "invite.created", subject: `invite:${row.id}`, detail }, nowMs);
  const invite = await findInvite(trx, secret, nowMs);
  if (invite === null) throw new RangeError("an invitation's lifetime must be above zero");
  return ok({ invite, secret });
}

type Grant = Pick<Selectable<InvitesTable>, "role" | "account_id" | "user_id">;

/** What the link is good for; ends the links that it replaces. */
async function grantOf(trx: Db, request: NewInvite): Promise<Result<Grant, InviteRefusal>> {
  switch (request.kind) {
    case "setup": {
      if (await hasAdminBut(trx, null)) return err({ kind: "set-up", message: "There is an administrator already." });
      await trx.deleteFrom("invites").where("kind", "=", "setup").execute();
      return ok({ role: "admin", account_id: FIRST_ACCOUNT_ID, user_id: null });
    }
    case "reset": {
      const user = await findUser(trx, request.userId);
      if (user === null) return err({ kind: "unknown-user", message: "There is no such person." });
      await trx.deleteFrom("invites").where("user_id", "=", user.id).execute();
      return ok({ role: user.role, account_id: user.account.id, user_id: user.id });
    }
    case "invite": {
      const { count } = await trx
        .selectFrom("invites")
        .select((of) => of.fn.countAll<number>().as("count"))
        .executeTakeFirstOrThrow();
      if (Number(count) >= MAX_INVITES) {
        return err({ kind: "full", message: `There are ${MAX_INVITES} open invitations: remove some first.` });
      }
      const { account: wanted, role } = request;
      if (wanted === null) return ok({ role, account_id: null, user_id: null });
      const account = await findAccount(trx, wanted);
      if (account === null) {
        return err({ kind: "unknown-account", message: `There is no account ${JSON.stringify(wanted)}.` });
      }
      return ok({ role, account_id: account.id, user_id: null });
    }
    default:
      return request satisfies never;
  }
}

async function redeemInvite(
  trx: Db,
  secret: string,
  person: PersonName & { readonly passwordHash: string },
  nowMs: number,
): Promise<Result<StoredUser, RedeemRefusal>> {
  const invite = await findInvite(trx, secret, nowMs);
  if (invite === null) return err({ kind: "invalid" });
  const taken = await trx.selectFrom("users").select("id").where("name_key", "=", person.key).executeTakeFirst();
  if (invite.userId !== null) {
    const user = await findUser(trx, invite.userId);
    if (user === null) return err({ kind: "invalid" });
    if (taken?.id !== user.id) return err({ kind: "other-name", name: user.name });
    return ok(await resetPassword(trx, invite, user, person.passwordHash, nowMs));
  }
  if (taken !== undefined) return err({ kind: "name-taken" });
  // Two links for the first administrator cannot be good at once, but an operator may have made one in between.
  if (invite.kind === "setup" && (await hasAdminBut(trx, null))) return err({ kind: "invalid" });
  return ok(await createUser(trx, invite, person, nowMs));
}

async function createUser(
  trx: Db,
  invite: StoredInvite,
  { name, key, passwordHash }: PersonName & { readonly passwordHash: string },
  nowMs: number,
): Promise<StoredUser> {
  const id = newId();
  const accountId = invite.account?.id ?? (await createAccount(trx, name, invite.role, nowMs));
  await trx
    .insertInto("users")
    .values({
      id,
      account_id: accountId,
      name,
      name_key: key,
      role: invite.role,
      password_hash: passwordHash,
      totp_secret: null,
      totp_last_step: null,
      created_ms: nowMs,
      last_seen_ms: null,
      disabled: 0,
    })
    .execute();
  await trx.deleteFrom("invites").where("id", "=", invite.id).execute();
  const detail = { name, role: invite.role, account: accountId, invite: invite.id };
  await appendAudit(trx, { actor: `user:${name}`, action: "user.created", subject: `user:${id}`, detail }, nowMs);
  return await mustFind(trx, id);
}

/** Called as the person is, or, where that name is an account's already, with a number behind it. */
async function createAccount(trx: Db, userName: string, role: AccessRole, nowMs: number): Promise<string> {
  let name = userName;
  for (let number = 2; (await findAccount(trx, name)) !== null; number++) name = `${userName}-${number}`;
  const row = {
    id: newId(),
    name,
    role: role === "admin" ? ("admin" as const) : ("user" as const),
    ...toLimitColumns(NO_LIMITS),
    created_ms: nowMs,
  };
  await trx.insertInto("accounts").values(row).execute();
  const event = {
    actor: `user:${userName}`,
    action: "account.created",
    subject: `account:${row.id}`,
    detail: { name, role: row.role },
  };
  await appendAudit(trx, event, nowMs);
  return row.id;
}

/** Whoever asked for it has lost what they had: sessions end, one-time codes go. Passkeys and tokens are theirs still. */
async function resetPassword(
  trx: Db,
  invite: StoredInvite,
  user: StoredUser,
  passwordHash: string,
  nowMs: number,
): Promise<StoredUser> {
  await trx
    .updateTable("users")
    .set({ password_hash: passwordHash, totp_secret: null, totp_last_step: null })
    .where("id", "=", user.id)
    .execute();
  await endSessions(trx, user.id, null);
  await trx.deleteFrom("invites").where("id", "=", invite.id).execute();
  const event = {
    actor: `user:${user.name}`,
    action: "user.password-reset",
    subject: `user:${user.id}`,
    detail: { invite: invite.id },
  };
  await appendAudit(trx, event, nowMs);
  return await mustFind(trx, user.id);
}

async function mustFind(trx: Db, id: string): Promise<StoredUser> {
  const user = await findUser(trx, id);
  if (user === null) throw new Error("a person who was just written is not there");
  return user;
}

async function findInvite(db: Db, secret: string, nowMs: number): Promise<StoredInvite | null> {
  const row = await selectInvites(db)
    .where("invites.secret_hash", "=", hashOfSecret(secret))
    .where("invites.expires_ms", ">", nowMs)
    .executeTakeFirst();
  return row === undefined ? null : toInvite(row);
}

function selectInvites(db: Db) {
  return db
    .selectFrom("invites")
    .leftJoin("accounts", "accounts.id", "invites.account_id")
    .selectAll("invites")
    .select("accounts.name as account_name");
}

function toInvite(row: Selectable<InvitesTable> & { readonly account_name: string | null }): StoredInvite {
  const { account_id: id, account_name: name } = row;
  return {
    id: row.id,
    kind: row.kind,
    role: row.role,
    account: id === null || name === null ? null : { id, name },
    userId: row.user_id,
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
  };
}
