import { join } from "node:path";
import type { DataPaths } from "../../os/paths.ts";
import { BACKUP_PARTS, type BackupPart } from "../../wire/backup.ts";

export const DATABASE: BackupPart = "hatchway.db";
/** Of the database, while it is open or after a crash. */
export const DATABASE_LOGS = ["hatchway.db-wal", "hatchway.db-shm"] as const;
/** Root's own, whoever owns the rest. */
const PRIVILEGED = "privileged/";

/** What whoever asks may read: the gateway's privileged directory is for root alone. */
export function partsFor(isRoot: boolean): readonly BackupPart[] {
  return BACKUP_PARTS.filter((name) => isRoot || !name.startsWith(PRIVILEGED));
}

export function isPrivileged(name: BackupPart): boolean {
  return name.startsWith(PRIVILEGED);
}

export function pathOf({ directory }: Pick<DataPaths, "directory">, name: string): string {
  return join(directory, name);
}
