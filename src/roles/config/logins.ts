import type { SiteLogin } from "../../core/forward.ts";
import { readPrivateText } from "../../os/files.ts";
import { isPasswordHash } from "../../wire/password-hash.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { Problem } from "./problem.ts";
import type { ExposeEntry } from "./schema.ts";

const MAX_LOGINS = 100;
const MAX_CHARS = 255;
const HASHED = "$argon2id$";
/** OWASP's least for argon2id: 19 MiB and two rounds, some 20 ms. The relay remembers who was right. */
const COST = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

/** Who may see a site, by its file; undefined = it has none. The relay gets hashes, and no password. */
export async function loginsOf(
  entry: Pick<ExposeEntry, "basic-auth-file">,
  beside: (path: string) => string,
): Promise<Result<readonly SiteLogin[] | undefined, Problem>> {
  const name = entry["basic-auth-file"];
  if (name === undefined) return ok(undefined);
  const path = beside(name);
  const no = (message: string): Result<never, Problem> => err({ path: ["basic-auth-file"], message });
  const read = await readPrivateText(path);
  if (!read.ok) return no(read.error.message);
  if (read.value === null) return no(`There is no file ${path}.`);
  const lines = read.value.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length === 0 || lines.length > MAX_LOGINS)
    return no(`${path} must have 1 to ${MAX_LOGINS} lines USER:PASSWORD.`);
  const logins: SiteLogin[] = [];
  for (const line of lines) {
    const colon = line.indexOf(":");
    const [user, secret] = [line.slice(0, Math.max(0, colon)), line.slice(colon + 1)];
    // The message never holds a part of the line.
    if (!isLoginPart(user) || !isLoginPart(secret) || logins.some((login) => login.user === user)) {
      return no(
        `Line ${lines.indexOf(line) + 1} of ${path} must be USER:PASSWORD, each of 1 to ${MAX_CHARS} characters, and each user once.`,
      );
    }
    if (isBadHash(secret)) {
      return no(`The hash in line ${lines.indexOf(line) + 1} of ${path} is none that the relay takes: ${HASH_RULE}.`);
    }
    logins.push({ user, hash: await hashOf(secret) });
  }
  return ok(logins);
}

/** After a colon. */
export const HASH_RULE = "argon2id of version 19, with at most 64 MiB, 10 passes and 4 lanes";

/** What begins like a hash of a password, and is none that may be used. */
export function isBadHash(secret: string): boolean {
  return secret.startsWith(HASHED) && !isPasswordHash(secret);
}

/** Of a password, or the hash that it is already. */
export async function hashOf(secret: string): Promise<string> {
  return secret.startsWith(HASHED) ? secret : await Bun.password.hash(secret, COST);
}

/** A user or a password as HTTP can carry it; a user has no colon besides. */
export function isLoginPart(text: string): boolean {
  return text.length > 0 && text.length <= MAX_CHARS && !/\p{Cc}/u.test(text);
}
