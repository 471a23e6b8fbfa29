import { readFileSync } from "node:fs";

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const PASSWD = "/etc/passwd";

/** The first of `names` that this system knows; null when it knows none. */
export function findUser(names: readonly string[], passwd = PASSWD): SystemUser | null {
  const users = readUsers(passwd);
  for (const name of names) {
    const [, , uid, gid] = users.find(([user]) => user === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/** For people: the user's name, its number when it has none, or "this user" where users have no numbers. */
export function userText(uid = process.getuid?.(), passwd = PASSWD): string {
  if (uid === undefined) return "this user";
  return `user ${nameOf(uid, passwd) ?? uid}`;
}

function nameOf(uid: number, passwd: string): string | null {
  try {
    return readUsers(passwd).find(([, , one]) => one === `${uid}`)?.[0] ?? null;
  } catch (error) {
    // No such file, as in the smallest of containers.
    if (error instanceof Error && "code" in error) return null;
    throw error;
  }
}

function readUsers(passwd: string): string[][] {
  return readFileSync(passwd, "utf8")
    .split("\n")
    .map((line) => line.split(":"));
}
