import { type Action, demandOf, mayDo, ROLES } from "../../core/access/rights.ts";
import type { Principal } from "./backend.ts";
import type { Role, Scope } from "./schema.ts";

/** What a route asks of whoever asks, as the table of core/access has it. Whose an object is, the backend knows. */
export interface Need {
  readonly action: Action;
  readonly roles: readonly Role[];
  /** Of a token. `person`: no token at all: credentials are for those who hold them. */
  readonly scope: Scope | "person";
}

export function needOf(action: Action): Need {
  const { role, scope } = demandOf(action);
  return { action, roles: ROLES.slice(0, ROLES.indexOf(role) + 1), scope };
}

/** Why they may not, in one sentence that says what to do; null = they may. */
export function whyNot({ action, roles, scope }: Need, who: Pick<Principal, "role" | "scopes">): string | null {
  if (mayDo(who, action)) return null;
  if (!roles.includes(who.role)) {
    return roles.length === 1
      ? "This is for administrators: ask one of them."
      : "A viewer can only look: ask an administrator for the role user.";
  }
  if (scope === "person") return "A token cannot do this: sign in with the password or a passkey.";
  return `The token lacks the scope ${scope}: make one that has it.`;
}
