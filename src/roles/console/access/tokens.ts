import { type AccessBackend, ApiFailure } from "../../../servers/api/backend.ts";
import type { Token } from "../../../servers/api/schema.ts";
import { MAX_TOKENS, type StoredToken } from "../../../store/tokens.ts";
import { type AccessOptions, actorOf } from "./context.ts";
import { demand, noSuch } from "./failures.ts";

type TokenMethods = Pick<AccessBackend, "listTokens" | "makeToken" | "removeToken">;

/** What programs sign in with. Each person sees and ends their own. */
export function tokenMethods({ store, wallMs }: AccessOptions): TokenMethods {
  return {
    async listTokens(who) {
      demand(who, "credentials.read");
      return (await store.tokens.list(who.userId)).map(toToken);
    },
    async makeToken(who, { name, scopes, lifetimeSec }) {
      demand(who, "credentials.change");
      const draft = { userId: who.userId, name, scopes, lifetimeSec };
      const made = await store.tokens.create(draft, wallMs(), actorOf(who));
      if (!made.ok) throw new ApiFailure("conflict", `You have ${MAX_TOKENS} tokens: remove one first.`);
      return { token: toToken(made.value.token), secret: made.value.secret };
    },
    async removeToken(who, id) {
      demand(who, "credentials.end");
      if (!(await store.tokens.remove(who.userId, id, wallMs(), actorOf(who)))) throw noSuch("token");
    },
  };
}

function toToken({ userId: _, ...token }: StoredToken): Token {
  return token;
}
