import { Database } from "bun:sqlite";
import { errorCode } from "../../os/errors.ts";

export interface ProcessLock {
  release(): void;
}

/**
 * Holds `path` for this process, or answers null when another process holds it. The lock is the kernel's (SQLite's
 * file lock): it ends with its process, kill -9 included, so that a stale one cannot exist. The file stays, empty.
 */
export function acquireLock(path: string): ProcessLock | null {
  const database = new Database(path);
  try {
    database.exec("PRAGMA busy_timeout=0; PRAGMA journal_mode=OFF; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (errorCode(error) === "SQLITE_BUSY") return null;
    throw error;
  }
  return { release: () => database.close() };
}
