import { SESSION_IDLE_MS, SESSION_LONGEST_MS, seenIsDue, sessionEndsMs } from "../core/access/session.ts";
import { appendAudit } from "./audit.ts";
import { tryToStore } from "./failure.ts";
import type { Db } from "./schema.ts";
import { hashOfSecret, newId, newSecret } from "./secret.ts";
import { findUser, type StoredUser } from "./users.ts";

/** A browser in which somebody signed in. */
export interface StoredSession {
  readonly id: string;
  readonly userId: string;
  readonly address: string;
  readonly userAgent: string;
  readonly createdMs: number;
  readonly lastSeenMs: number;
}

/** How somebody proved who they are, for the audit log. */
export type SignInMethod = "password" | "password+totp" | "passkey" | "link";

export interface SessionPlace {
  readonly address: string;
  readonly userAgent: string;
}

export interface Sessions {
  /** A new secret each time: nothing that was there before the sign-in is good after it. Null: there is no such person, or they are disabled. */
  begin(
    userId: string,
    place: SessionPlace,
    method: SignInMethod,
    nowMs: number,
  ): Promise<{ readonly secret: string; readonly session: StoredSession } | null>;
  /** With its person; null when it ended, or the person is disabled. It is seen: written now and then, not each time. */
  bySecret(
    secret: string,
    place: SessionPlace,
    nowMs: number,
  ): Promise<{ readonly session: StoredSession; readonly user: StoredUser } | null>;
  /** Newest first. */
  list(userId: string, nowMs: number): Promise<StoredSession[]>;
  /** False: the person has no such session. */
  end(userId: string, id: string, nowMs: number, actor: string): Promise<boolean>;
}

/** Of one person; the one that was not used for longest gives way. */
const MAX_SESSIONS = 50;

export function sessionsOn(db: Db): Sessions {
  return {
    begin: (userId, place, method, nowMs) =>
      db.transaction().execute(async (trx) => {
        const user = await findUser(trx, userId);
        if (user === null || user.disabled) return null;
        await forgetEnded(trx, nowMs);
        await makeRoom(trx, userId);
        const secret = newSecret();
        const { address, userAgent } = place;
        const session = { id: newId(), userId, address, userAgent, createdMs: nowMs, lastSeenMs: nowMs };
        await trx
          .insertInto("sessions")
          .values({
            id: session.id,
            user_id: userId,
            secret_hash: hashOfSecret(secret),
            address,
            user_agent: userAgent,
            created_ms: nowMs,
            last_seen_ms: nowMs,
          })
          .execute();
        await trx.updateTable("users").set({ last_seen_ms: nowMs }).where("id", "=", userId).execute();
        const detail = { method, address, session: session.id };
        const event = { actor: `user:${user.name}`, action: "user.signed-in", subject: `user:${userId}`, detail };
        await appendAudit(trx, event, nowMs);
        return { secret, session };
      }),
    async bySecret(secret, place, nowMs) {
      const row = await db
        .selectFrom("sessions")
        .selectAll()
        .where("secret_hash", "=", hashOfSecret(secret))
        .executeTakeFirst();
      if (row === undefined) return null;
      const session = toSession(row);
      if (sessionEndsMs(session) <= nowMs) return null;
      const user = await findUser(db, session.userId);
      if (user === null || user.disabled) return null;
      if (!seenIsDue(session.lastSeenMs, nowMs)) return { session, user };
      const written = await tryToStore(() => seen(db, session, place, nowMs));
      return { session: written ? { ...session, ...place, lastSeenMs: nowMs } : session, user };
    },
    async list(userId, nowMs) {
      const rows = await db
        .selectFrom("sessions")
        .selectAll()
        .where("user_id", "=", userId)
        .orderBy("created_ms", "desc")
        .orderBy("id")
        .execute();
      return rows.map(toSession).filter((session) => sessionEndsMs(session) > nowMs);
    },
    end: (userId, id, nowMs, actor) =>
      db.transaction().execute(async (trx) => {
        const { numDeletedRows } = await trx
          .deleteFrom("sessions")
          .where("id", "=", id)
          .where("user_id", "=", userId)
          .executeTakeFirstOrThrow();
        if (numDeletedRows === 0n) return false;
        const event = { actor, action: "session.ended", subject: `user:${userId}`, detail: { session: id } };
        await appendAudit(trx, event, nowMs);
        return true;
      }),
  };
}

async function seen(db: Db, { id, userId }: StoredSession, { address, userAgent }: SessionPlace, nowMs: number) {
  await db.transaction().execute(async (trx) => {
    await trx
      .updateTable("sessions")
      .set({ last_seen_ms: nowMs, address, user_agent: userAgent })
      .where("id", "=", id)
      .execute();
    await trx.updateTable("users").set({ last_seen_ms: nowMs }).where("id", "=", userId).execute();
  });
}

async function forgetEnded(trx: Db, nowMs: number): Promise<void> {
  await trx
    .deleteFrom("sessions")
    .where((where) =>
      where.or([
        where("created_ms", "<=", nowMs - SESSION_LONGEST_MS),
        where("last_seen_ms", "<=", nowMs - SESSION_IDLE_MS),
      ]),
    )
    .execute();
}

async function makeRoom(trx: Db, userId: string): Promise<void> {
  const rows = await trx
    .selectFrom("sessions")
    .select("id")
    .where("user_id", "=", userId)
    .orderBy("last_seen_ms", "desc")
    .orderBy("id")
    .execute();
  const tooMany = rows.slice(MAX_SESSIONS - 1).map(({ id }) => id);
  if (tooMany.length > 0) await trx.deleteFrom("sessions").where("id", "in", tooMany).execute();
}

function toSession(row: {
  id: string;
  user_id: string;
  address: string;
  user_agent: string;
  created_ms: number;
  last_seen_ms: number;
}): StoredSession {
  return {
    id: row.id,
    userId: row.user_id,
    address: row.address,
    userAgent: row.user_agent,
    createdMs: row.created_ms,
    lastSeenMs: row.last_seen_ms,
  };
}
