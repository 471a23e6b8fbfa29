import type { Selectable } from "kysely";
import type { AccessRole } from "../core/access/rights.ts";
import { err, ok, type Result } from "../wire/result.ts";
import {
  type AccountLimits,
  FIRST_ACCOUNT_ID,
  LIMIT_COLUMNS,
  type LimitColumns,
  toLimits,
  writeLimits,
} from "./accounts.ts";
import { appendAudit } from "./audit.ts";
import { forgetForwards } from "./devices.ts";
import type { Db, UsersTable } from "./schema.ts";

/** A person who may sign in. */
export interface StoredUser {
  readonly id: string;
  readonly name: string;
  readonly role: AccessRole;
  readonly account: { readonly id: string; readonly name: string } & AccountLimits;
  readonly passwordHash: string;
  /** Base32. */
  readonly totpSecret: string | null;
  readonly totpLastStep: number | null;
  readonly createdMs: number;
  readonly lastSeenMs: number | null;
  readonly disabled: boolean;
  readonly passkeys: number;
}

export interface UserChange {
  readonly role?: AccessRole;
  readonly disabled?: boolean;
  /** Of the account, whoever else is in it. */
  readonly limits?: Partial<AccountLimits>;
}

export interface UserRefusal {
  /** last-admin: without this one nobody could change anything any more. */
  readonly kind: "unknown" | "last-admin";
  /** One sentence that says what to do. */
  readonly message: string;
}

export interface RemovedUser {
  readonly user: StoredUser;
  /** The account went too: nobody else was in it. */
  readonly accountRemoved: boolean;
}

/** Every change writes the audit log as `actor`. New people come by `Invites.redeem`. */
export interface Users {
  find(id: string): Promise<StoredUser | null>;
  /** `nameKey`: see core/access/name. */
  findByName(nameKey: string): Promise<StoredUser | null>;
  /** Oldest first, from behind `after` (who may be gone); `limit` at most. */
  list(page: {
    readonly after: Pick<StoredUser, "createdMs" | "id"> | null;
    readonly limit: number;
  }): Promise<StoredUser[]>;
  /** Somebody can sign in and change everything. */
  hasAdmin(): Promise<boolean>;
  /** Disabling ends the sessions; tokens are good again when it is undone. */
  change(id: string, change: UserChange, nowMs: number, actor: string): Promise<Result<StoredUser, UserRefusal>>;
  /** Whether `remove` would, and the ids of the devices that would go with the account. */
  removal(id: string): Promise<Result<readonly string[], UserRefusal>>;
  /**
   * With sessions, passkeys, tokens; and, when nobody else is in the account and it is not the first, with the account, its
   * devices, forwards and join codes; its VPN peers become the first account's. The audit log keeps what they were called.
   */
  remove(id: string, nowMs: number, actor: string): Promise<Result<RemovedUser, UserRefusal>>;
  /** Ends every session of the person but `keepSessionId`, and voids open links that would set a password. */
  setPassword(
    id: string,
    passwordHash: string,
    keepSessionId: string | null,
    nowMs: number,
    actor: string,
  ): Promise<void>;
  /** `usedStep`: of the code that proved it. */
  setTotp(id: string, totp: { secret: string; usedStep: number } | null, nowMs: number, actor: string): Promise<void>;
  /** False: that code, or a later one, was used already. Of two at once one gets true. */
  takeTotpStep(id: string, step: number): Promise<boolean>;
}

export function usersOn(db: Db): Users {
  const inTransaction = <T>(work: (trx: Db) => Promise<T>): Promise<T> => db.transaction().execute(work);
  return {
    find: (id) => findUser(db, id),
    async findByName(nameKey) {
      const row = await selectUsers(db).where("users.name_key", "=", nameKey).executeTakeFirst();
      return row === undefined ? null : toUser(row);
    },
    async list({ after, limit }) {
      const rows = await selectUsers(db)
        .$if(after !== null, (query) =>
          query.where((where) =>
            where.or([
              where("users.created_ms", ">", after?.createdMs ?? 0),
              where.and([
                where("users.created_ms", "=", after?.createdMs ?? 0),
                where("users.id", ">", after?.id ?? ""),
              ]),
            ]),
          ),
        )
        .orderBy("users.created_ms")
        .orderBy("users.id")
        .limit(limit)
        .execute();
      return rows.map(toUser);
    },
    hasAdmin: () => hasAdminBut(db, null),
    change: (id, change, nowMs, actor) => inTransaction((trx) => changeUser(trx, id, change, nowMs, actor)),
    removal: (id) =>
      inTransaction(async (trx) => {
        const found = await removable(trx, id);
        if (!found.ok) return found;
        return ok((await isAlone(trx, found.value)) ? await devicesOf(trx, found.value.account.id) : []);
      }),
    remove: (id, nowMs, actor) => inTransaction((trx) => removeUser(trx, id, nowMs, actor)),
    setPassword: (id, passwordHash, keepSessionId, nowMs, actor) =>
      inTransaction(async (trx) => {
        await trx.updateTable("users").set({ password_hash: passwordHash }).where("id", "=", id).execute();
        await endSessions(trx, id, keepSessionId);
        await trx.deleteFrom("invites").where("user_id", "=", id).execute();
        await appendAudit(trx, { actor, action: "user.password-changed", subject: `user:${id}`, detail: {} }, nowMs);
      }),
    setTotp: (id, totp, nowMs, actor) =>
      inTransaction(async (trx) => {
        await trx
          .updateTable("users")
          .set({ totp_secret: totp?.secret ?? null, totp_last_step: totp?.usedStep ?? null })
          .where("id", "=", id)
          .execute();
        const action = totp === null ? "user.totp-removed" : "user.totp-added";
        await appendAudit(trx, { actor, action, subject: `user:${id}`, detail: {} }, nowMs);
      }),
    async takeTotpStep(id, step) {
      const { numUpdatedRows } = await db
        .updateTable("users")
        .set({ totp_last_step: step })
        .where("id", "=", id)
        .where((where) => where.or([where("totp_last_step", "is", null), where("totp_last_step", "<", step)]))
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  };
}

/** For use inside a transaction: where a person is read with what their sessions and tokens say. */
export async function findUser(db: Db, id: string): Promise<StoredUser | null> {
  const row = await selectUsers(db).where("users.id", "=", id).executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

/** Ends every session of the person, but that one. */
export async function endSessions(trx: Db, userId: string, keepSessionId: string | null): Promise<void> {
  await trx
    .deleteFrom("sessions")
    .where("user_id", "=", userId)
    .$if(keepSessionId !== null, (query) => query.where("id", "!=", keepSessionId ?? ""))
    .execute();
}

/** Whether there is an administrator who can sign in; not counting the one of that id. */
export async function hasAdminBut(db: Db, id: string | null): Promise<boolean> {
  const row = await db
    .selectFrom("users")
    .select("id")
    .where("role", "=", "admin")
    .where("disabled", "=", 0)
    .$if(id !== null, (query) => query.where("id", "!=", id ?? ""))
    .executeTakeFirst();
  return row !== undefined;
}

async function changeUser(
  trx: Db,
  id: string,
  { role, disabled, limits }: UserChange,
  nowMs: number,
  actor: string,
): Promise<Result<StoredUser, UserRefusal>> {
  const user = await findUser(trx, id);
  if (user === null) return err(UNKNOWN);
  const wanted = { role: role ?? user.role, disabled: disabled ?? user.disabled };
  const stays = wanted.role === "admin" && !wanted.disabled;
  if (!stays && isActiveAdmin(user) && !(await hasAdminBut(trx, id))) return err(LAST_ADMIN);

  const subject = `user:${id}`;
  if (wanted.role !== user.role || wanted.disabled !== user.disabled) {
    await trx
      .updateTable("users")
      .set({ role: wanted.role, disabled: wanted.disabled ? 1 : 0 })
      .where("id", "=", id)
      .execute();
    await appendAudit(trx, { actor, action: "user.changed", subject, detail: { name: user.name, ...wanted } }, nowMs);
  }
  if (wanted.disabled) await endSessions(trx, id, null);
  if (limits !== undefined) {
    const { id: accountId, name: _, ...present } = user.account;
    await writeLimits(trx, accountId, { ...present, ...limits }, nowMs, actor);
  }
  const changed = await findUser(trx, id);
  return changed === null ? err(UNKNOWN) : ok(changed);
}

async function removeUser(
  trx: Db,
  id: string,
  nowMs: number,
  actor: string,
): Promise<Result<RemovedUser, UserRefusal>> {
  const found = await removable(trx, id);
  if (!found.ok) return found;
  const user = found.value;
  const accountRemoved = await isAlone(trx, user);
  await trx.deleteFrom("users").where("id", "=", id).execute();
  const detail = { name: user.name, account: user.account.name, accountRemoved };
  await appendAudit(trx, { actor, action: "user.removed", subject: `user:${id}`, detail }, nowMs);
  if (accountRemoved) await removeAccount(trx, user.account, nowMs, actor);
  return ok({ user, accountRemoved });
}

async function removeAccount(
  trx: Db,
  account: { readonly id: string; readonly name: string },
  nowMs: number,
  actor: string,
): Promise<void> {
  const devices = await trx
    .selectFrom("devices")
    .select(["id", "name"])
    .where("account_id", "=", account.id)
    .orderBy("name")
    .execute();
  for (const { id } of devices) await forgetForwards(trx, id);
  await trx.deleteFrom("leases").where("account_id", "=", account.id).execute();
  await trx.deleteFrom("devices").where("account_id", "=", account.id).execute();
  await trx.deleteFrom("join_codes").where("account_id", "=", account.id).execute();
  // A gateway's peers stay, and their ports: administrators decide what becomes of them.
  await trx.updateTable("vpn_peers").set({ account_id: null }).where("account_id", "=", account.id).execute();
  await trx
    .updateTable("mappings")
    .set({ account_id: FIRST_ACCOUNT_ID })
    .where("account_id", "=", account.id)
    .execute();
  await trx.deleteFrom("accounts").where("id", "=", account.id).execute();
  // Who had which device must be told also when its row is gone.
  const detail = { name: account.name, devices };
  await appendAudit(trx, { actor, action: "account.removed", subject: `account:${account.id}`, detail }, nowMs);
}

async function removable(trx: Db, id: string): Promise<Result<StoredUser, UserRefusal>> {
  const user = await findUser(trx, id);
  if (user === null) return err(UNKNOWN);
  if (isActiveAdmin(user) && !(await hasAdminBut(trx, id))) return err(LAST_ADMIN);
  return ok(user);
}

async function isAlone(trx: Db, { id, account }: StoredUser): Promise<boolean> {
  if (account.id === FIRST_ACCOUNT_ID) return false;
  const other = await trx
    .selectFrom("users")
    .select("id")
    .where("account_id", "=", account.id)
    .where("id", "!=", id)
    .executeTakeFirst();
  return other === undefined;
}

async function devicesOf(trx: Db, accountId: string): Promise<string[]> {
  const rows = await trx
    .selectFrom("devices")
    .select("id")
    .where("account_id", "=", accountId)
    .where("revoked_ms", "is", null)
    .execute();
  return rows.map(({ id }) => id);
}

function isActiveAdmin({ role, disabled }: StoredUser): boolean {
  return role === "admin" && !disabled;
}

const UNKNOWN: UserRefusal = { kind: "unknown", message: "There is no such person." };
const LAST_ADMIN: UserRefusal = {
  kind: "last-admin",
  message: "This is the last administrator: make somebody else one first.",
};

function selectUsers(db: Db) {
  return db
    .selectFrom("users")
    .innerJoin("accounts", "accounts.id", "users.account_id")
    .selectAll("users")
    .select("accounts.name as account_name")
    .select(LIMIT_COLUMNS.map((column) => `accounts.${column}` as const))
    .select((from) =>
      from
        .selectFrom("passkeys")
        .whereRef("passkeys.user_id", "=", "users.id")
        .select((of) => of.fn.countAll<number>().as("count"))
        .as("passkey_count"),
    );
}

type UserRow = Selectable<UsersTable> &
  LimitColumns & {
    readonly account_name: string;
    readonly passkey_count: number | null;
  };

function toUser(row: UserRow): StoredUser {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    account: {
      id: row.account_id,
      name: row.account_name,
      ...toLimits(row),
    },
    passwordHash: row.password_hash,
    totpSecret: row.totp_secret,
    totpLastStep: row.totp_last_step,
    createdMs: row.created_ms,
    lastSeenMs: row.last_seen_ms,
    disabled: row.disabled !== 0,
    passkeys: Number(row.passkey_count ?? 0),
  };
}
