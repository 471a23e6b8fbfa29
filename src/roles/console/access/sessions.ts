import { sessionEndsMs } from "../../../core/access/session.ts";
import {
  type AccessBackend,
  ApiFailure,
  type BegunSession,
  type Origin,
  type Principal,
} from "../../../servers/api/backend.ts";
import type { Me } from "../../../servers/api/schema.ts";
import type { StoredToken } from "../../../store/tokens.ts";
import type { StoredUser } from "../../../store/users.ts";
import { type AccessOptions, actorOf, type BeginSession } from "./context.ts";
import { demand, noSuch } from "./failures.ts";

type SessionMethods = Pick<AccessBackend, "bySession" | "byToken" | "signOut" | "me" | "listSessions" | "endSession">;

/** A browser says what it likes about itself. */
const MAX_USER_AGENT_CHARS = 256;

/** Who is signed in. */
export function sessionMethods({ store, wallMs }: AccessOptions): SessionMethods {
  return {
    async bySession(secret, origin) {
      const found = await store.sessions.bySecret(secret, placeOf(origin), wallMs());
      if (found === null) return null;
      const { session, user } = found;
      const principal = principalOf(user, session.id, null);
      return { principal, expiresMs: sessionEndsMs(session) };
    },
    async byToken(secret) {
      const found = await store.tokens.bySecret(secret, wallMs());
      return found === null ? null : principalOf(found.user, found.token.id, found.token);
    },
    async signOut(who) {
      demand(who, "credentials.change");
      await store.sessions.end(who.userId, who.credentialId, wallMs(), actorOf(who));
    },
    async me(who) {
      demand(who, "read");
      const user = await store.users.find(who.userId);
      const token = who.scopes === null ? null : await store.tokens.find(who.credentialId);
      if (user === null || (who.scopes !== null && token === null))
        throw new ApiFailure("unauthorized", "Sign in again.");
      return meOf(user, token);
    },
    async listSessions(who) {
      demand(who, "credentials.read");
      const sessions = await store.sessions.list(who.userId, wallMs());
      return sessions.map(({ userId: _, ...session }) => ({ ...session, current: session.id === who.credentialId }));
    },
    async endSession(who, id) {
      demand(who, "credentials.end");
      if (!(await store.sessions.end(who.userId, id, wallMs(), actorOf(who)))) throw noSuch("session");
    },
  };
}

export function beginSessions({ store, wallMs }: AccessOptions): BeginSession {
  return async (user, origin, method): Promise<BegunSession> => {
    const begun = await store.sessions.begin(user.id, placeOf(origin), method, wallMs());
    // Removed or disabled since the proof began.
    if (begun === null) throw new ApiFailure("unauthorized", "This person may not sign in: ask an administrator.");
    const { secret, session } = begun;
    return { secret, session: { me: meOf(user, null), expiresMs: sessionEndsMs(session) } };
  };
}

function placeOf({ address, userAgent }: Origin): Origin {
  return { address, userAgent: userAgent.slice(0, MAX_USER_AGENT_CHARS) };
}

function principalOf(user: StoredUser, credentialId: string, token: StoredToken | null): Principal {
  const { id: userId, name, role, account } = user;
  return { userId, name, role, accountId: account.id, scopes: token?.scopes ?? null, credentialId };
}

function meOf(user: StoredUser, token: StoredToken | null): Me {
  const { id, name, role, account, totpSecret, passkeys } = user;
  return {
    id,
    name,
    role,
    account: { id: account.id, name: account.name },
    token: token === null ? null : { id: token.id, name: token.name, scopes: token.scopes, expiresMs: token.expiresMs },
    hasTotp: totpSecret !== null,
    passkeys,
  };
}
