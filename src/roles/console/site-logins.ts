import type { SiteLogin } from "../../core/forward.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { ForwardPatch } from "../../servers/api/schema.ts";
import { HASH_RULE, hashOf, isBadHash, isLoginPart } from "../config/logins.ts";

type Wanted = NonNullable<ForwardPatch["logins"]>;

/**
 * Who may come in, as a draft or a patch has it, with hashes for passwords; whoever is given none keeps the one of `present`.
 * Throws ApiFailure `invalid`. Some 20 ms each.
 */
export async function loginsOf(wanted: Wanted, present: readonly SiteLogin[]): Promise<readonly SiteLogin[]> {
  const kept = new Map(present.map(({ user, hash }) => [user, hash]));
  const problem = loginsProblem(wanted, present);
  if (problem !== null) throw new ApiFailure("invalid", problem, { errors: [{ path: "logins", message: problem }] });
  const logins: SiteLogin[] = [];
  for (const { user, password } of wanted) {
    logins.push({ user, hash: password === undefined ? (kept.get(user) ?? "") : await hashOf(password) });
  }
  return logins;
}

/** What is wrong with them, one sentence; null = nothing. */
export function loginsProblem(wanted: Wanted, present: readonly SiteLogin[]): string | null {
  const seen = new Set<string>();
  for (const { user, password } of wanted) {
    const quoted = JSON.stringify(user);
    if (!isLoginPart(user) || user.includes(":"))
      return `logins: The user ${quoted} must have no colon and no control character.`;
    if (seen.has(user)) return `logins: Name the user ${quoted} once.`;
    seen.add(user);
    if (password === undefined && !present.some((login) => login.user === user))
      return `logins: Give ${quoted} a password.`;
    if (password !== undefined && !isLoginPart(password))
      return `logins: The password of ${quoted} must have no control character.`;
    if (password !== undefined && isBadHash(password)) {
      return `logins: The hash of ${quoted} is none that the relay takes: ${HASH_RULE}.`;
    }
  }
  return null;
}
