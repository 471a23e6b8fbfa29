import type { Selectable } from "kysely";
import { type AccessScope, SCOPES } from "../core/access/rights.ts";
import { seenIsDue } from "../core/access/session.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { appendAudit } from "./audit.ts";
import { tryToStore } from "./failure.ts";
import type { Db, TokensTable } from "./schema.ts";
import { hashOfSecret, newId, newSecret } from "./secret.ts";
import { findUser, type StoredUser } from "./users.ts";

/** What a program signs in with, in its owner's name. */
export interface StoredToken {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly scopes: readonly AccessScope[];
  readonly createdMs: number;
  /** Null = until it is removed. */
  readonly expiresMs: number | null;
  readonly lastUsedMs: number | null;
}

export interface NewToken {
  readonly userId: string;
  readonly name: string;
  readonly scopes: readonly AccessScope[];
  readonly lifetimeSec: number | null;
}

export interface Tokens {
  /** `secret` is shown once. */
  create(
    token: NewToken,
    nowMs: number,
    actor: string,
  ): Promise<Result<{ readonly token: StoredToken; readonly secret: string }, "full">>;
  find(id: string): Promise<StoredToken | null>;
  /** With its owner; null when it is expired or removed, or the owner is disabled. */
  bySecret(secret: string, nowMs: number): Promise<{ readonly token: StoredToken; readonly user: StoredUser } | null>;
  /** Oldest first; expired ones too, until they are removed. */
  list(userId: string): Promise<StoredToken[]>;
  /** False: the person has none of this id. */
  remove(userId: string, id: string, nowMs: number, actor: string): Promise<boolean>;
}

/** So that it is known for what it is wherever it turns up: in a log, a repository, a scanner for secrets. */
const PREFIX = "hatchway_";
export const MAX_TOKENS = 100;
const LIST_SEPARATOR = " ";

export function tokensOn(db: Db): Tokens {
  return {
    create: ({ userId, name, scopes, lifetimeSec }, nowMs, actor) =>
      db.transaction().execute(async (trx) => {
        if ((await listTokens(trx, userId)).length >= MAX_TOKENS) return err("full" as const);
        const secret = `${PREFIX}${newSecret()}`;
        const row = {
          id: newId(),
          user_id: userId,
          name,
          secret_hash: hashOfSecret(secret),
          scopes: SCOPES.filter((scope) => scopes.includes(scope)).join(LIST_SEPARATOR),
          created_ms: nowMs,
          expires_ms: lifetimeSec === null ? null : nowMs + lifetimeSec * 1000,
          last_used_ms: null,
        };
        await trx.insertInto("tokens").values(row).execute();
        const detail = { name, scopes: row.scopes, expiresMs: row.expires_ms, user: userId };
        await appendAudit(trx, { actor, action: "token.created", subject: `token:${row.id}`, detail }, nowMs);
        return ok({ token: toToken(row), secret });
      }),
    async find(id) {
      const row = await db.selectFrom("tokens").selectAll().where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : toToken(row);
    },
    async bySecret(secret, nowMs) {
      const row = await db
        .selectFrom("tokens")
        .selectAll()
        .where("secret_hash", "=", hashOfSecret(secret))
        .executeTakeFirst();
      if (row === undefined || (row.expires_ms !== null && row.expires_ms <= nowMs)) return null;
      const user = await findUser(db, row.user_id);
      if (user === null || user.disabled) return null;
      if (!seenIsDue(row.last_used_ms, nowMs)) return { token: toToken(row), user };
      const written = await tryToStore(() =>
        db.transaction().execute(async (trx) => {
          await trx.updateTable("tokens").set({ last_used_ms: nowMs }).where("id", "=", row.id).execute();
          await trx.updateTable("users").set({ last_seen_ms: nowMs }).where("id", "=", user.id).execute();
        }),
      );
      const token = toToken(row);
      return { token: written ? { ...token, lastUsedMs: nowMs } : token, user };
    },
    list: (userId) => listTokens(db, userId),
    remove: (userId, id, nowMs, actor) =>
      db.transaction().execute(async (trx) => {
        const row = await trx
          .deleteFrom("tokens")
          .where("id", "=", id)
          .where("user_id", "=", userId)
          .returning("name")
          .executeTakeFirst();
        if (row === undefined) return false;
        const event = { actor, action: "token.removed", subject: `token:${id}`, detail: { name: row.name } };
        await appendAudit(trx, event, nowMs);
        return true;
      }),
  };
}

async function listTokens(db: Db, userId: string): Promise<StoredToken[]> {
  const rows = await db
    .selectFrom("tokens")
    .selectAll()
    .where("user_id", "=", userId)
    .orderBy("created_ms")
    .orderBy("id")
    .execute();
  return rows.map(toToken);
}

function toToken(row: Selectable<TokensTable>): StoredToken {
  const names = row.scopes.split(LIST_SEPARATOR);
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    // What this program does not know gives no right.
    scopes: SCOPES.filter((scope) => names.includes(scope)),
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    lastUsedMs: row.last_used_ms,
  };
}
