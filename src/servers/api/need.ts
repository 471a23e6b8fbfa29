import type { Principal } from "./backend.ts";
import type { Role, Scope } from "./schema.ts";

/** What a route asks of whoever asks. Whose an object is, the backend knows. */
export interface Need {
  readonly roles: readonly Role[];
  /** Of a token. `person`: no token at all: credentials are for those who hold them. */
  readonly scope: Scope | "person";
}

const EVERYBODY: readonly Role[] = ["admin", "user", "viewer"];
const CHANGERS: readonly Role[] = ["admin", "user"];
const ADMINS: readonly Role[] = ["admin"];

export const LOOK: Need = { roles: EVERYBODY, scope: "read" };
export const CHANGE_FORWARDS: Need = { roles: CHANGERS, scope: "forwards" };
export const CHANGE: Need = { roles: CHANGERS, scope: "all" };
/** What is the asker's own, whatever their role. */
export const CHANGE_OWN: Need = { roles: EVERYBODY, scope: "all" };
export const PERSON: Need = { roles: EVERYBODY, scope: "person" };
export const ADMIN_LOOK: Need = { roles: ADMINS, scope: "read" };
export const ADMIN: Need = { roles: ADMINS, scope: "all" };

/** Each scope has those before it. */
const SCOPES: readonly Scope[] = ["read", "forwards", "all"];

/** Why they may not, in one sentence that says what to do; null = they may. */
export function whyNot({ roles, scope }: Need, who: Pick<Principal, "role" | "scopes">): string | null {
  if (!roles.includes(who.role)) {
    return roles.length === 1
      ? "This is for administrators: ask one of them."
      : "A viewer can only look: ask an administrator for the role user.";
  }
  if (who.scopes === null) return null;
  if (scope === "person") return "A token cannot do this: sign in with the password or a passkey.";
  const wanted = SCOPES.indexOf(scope);
  if (who.scopes.some((has) => SCOPES.indexOf(has) >= wanted)) return null;
  return `The token lacks the scope ${scope}: make one that has it.`;
}
