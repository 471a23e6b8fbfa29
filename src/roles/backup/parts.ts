import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../os/errors.ts";
import type { DataPaths } from "../../os/paths.ts";
import { BACKUP_PARTS, type BackupPart, isSitePart, MAX_SITE_PARTS, sitePart } from "../../wire/backup.ts";

export const DATABASE: BackupPart = "hatchway.db";
/** Of the database, while it is open or after a crash. */
export const DATABASE_LOGS = ["hatchway.db-wal", "hatchway.db-shm"] as const;
const SITES = "names";
/** Root's own, whoever owns the rest. */
export const PRIVILEGED = "privileged";

/** What whoever asks may read: the gateway's privileged directory is for root alone. */
export function partsFor(isRoot: boolean): readonly BackupPart[] {
  return BACKUP_PARTS.filter((name) => isRoot || !isPrivileged(name));
}

/** The certificates of sites that are there. */
export async function sitePartsIn(paths: Pick<DataPaths, "directory">): Promise<readonly BackupPart[]> {
  try {
    const found = await readdir(join(paths.directory, SITES), { withFileTypes: true });
    const parts = found.filter((entry) => entry.isDirectory()).map(({ name }) => sitePart(name));
    return parts.filter(isSitePart).toSorted().slice(0, MAX_SITE_PARTS);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "EACCES") return [];
    throw error;
  }
}

/** For people: the certificates of sites are one line. */
export function shownParts(parts: readonly { readonly name: BackupPart }[]): readonly string[] {
  const names = parts.map(({ name }) => name);
  const own = names.filter((name) => !isSitePart(name));
  return own.length === names.length ? own : [...own, `${SITES}/ (${names.length - own.length})`];
}

export function isPrivileged(name: BackupPart): boolean {
  return name.startsWith(`${PRIVILEGED}/`);
}

export function pathOf({ directory }: Pick<DataPaths, "directory">, name: string): string {
  return join(directory, name);
}
