import { randomBytes } from "node:crypto";
import { chmod, link, open, readFile, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { err, ok, type Result } from "../wire/result.ts";
import { errorCode, messageOf } from "./errors.ts";
import { userText } from "./users.ts";

/** Owner only: for everything in the data directory. */
export const PRIVATE_FILE_MODE = 0o600;
const PUBLIC_FILE_MODE = 0o644;
export const PRIVATE_DIRECTORY_MODE = 0o700;
export const OTHERS_MASK = 0o077;
/** Windows keeps no POSIX permissions and cannot sync a directory; there the user's profile protects the files. */
export const HAS_POSIX_FILES = process.platform !== "win32";

/** damaged: it is there, but not what it should be. exposed: others may read or change it. */
export type FileErrorKind = "missing" | "permission" | "disk-full" | "damaged" | "exposed" | "io";

export interface FileError {
  readonly kind: FileErrorKind;
  /** One sentence that says what to do. */
  readonly message: string;
  readonly cause?: unknown;
}

/** The text, or null when there is no such file. */
export async function readText(path: string): Promise<Result<string | null, FileError>> {
  try {
    return ok(await readFile(path, "utf8"));
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return ok(null);
    return err(fileError(cause, "read", path));
  }
}

/** Like `readText`, for private keys: refuses a file that others may read, as OpenSSH does. */
export async function readPrivateText(path: string): Promise<Result<string | null, FileError>> {
  try {
    const { mode } = await stat(path);
    if (HAS_POSIX_FILES && (mode & OTHERS_MASK) !== 0)
      return err({ kind: "exposed", message: `Others may read ${path}: run chmod 600 on it, or make a new one.` });
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return ok(null);
    return err(fileError(cause, "read", path));
  }
  return readText(path);
}

/**
 * Replaces a file so that a crash at any point leaves the old text or the new one, whole, and so that the new one is
 * on the disk when this resolves: temporary file, fsync, rename, fsync of the directory. Mode 0600.
 */
export async function replaceFile(path: string, text: string): Promise<Result<void, FileError>> {
  return viaTemporary(path, text, rename);
}

/** The same, for what everybody may read: mode 0644, whatever the umask is. */
export async function replacePublicFile(path: string, text: string): Promise<Result<void, FileError>> {
  return viaTemporary(path, text, async (temporary) => {
    await chmod(temporary, PUBLIC_FILE_MODE);
    await rename(temporary, path);
  });
}

/** Makes a file with the same promises, unless one is there: of two processes, one makes it and both see the same text. */
export async function createFile(path: string, text: string): Promise<Result<"created" | "exists", FileError>> {
  const made = await viaTemporary(path, text, async (temporary) => {
    await link(temporary, path);
    await unlink(temporary);
  });
  if (made.ok) return ok("created");
  return errorCode(made.error.cause) === "EEXIST" ? ok("exists") : made;
}

async function viaTemporary(
  path: string,
  text: string,
  publish: (temporary: string, path: string) => Promise<void>,
): Promise<Result<void, FileError>> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
  try {
    await writeSynced(temporary, text);
    await publish(temporary, path);
    await syncDirectory(dirname(path));
    return ok(undefined);
  } catch (cause) {
    // The first error is the one to tell; when the temporary file is gone or stays behind, nothing reads it.
    await unlink(temporary).catch(() => undefined);
    return err(fileError(cause, "write", path));
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", PRIVATE_FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is on the disk only when its directory is (fsync(2), NOTES). */
export async function syncDirectory(path: string): Promise<void> {
  if (!HAS_POSIX_FILES) return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Classifies an errno once. */
export function fileError(cause: unknown, action: "read" | "write" | "create", path: string): FileError {
  switch (errorCode(cause)) {
    case "ENOENT":
      return { kind: "missing", message: `Cannot ${action} ${path}: there is no such directory or file.`, cause };
    case "ENOTDIR":
    case "EEXIST":
      return { kind: "io", message: `Cannot ${action} ${path}: a file is where a directory should be.`, cause };
    case "EACCES":
    case "EPERM":
      return { kind: "permission", message: `Cannot ${action} ${path}: ${userText()} is not allowed to.`, cause };
    case "EROFS":
      return { kind: "permission", message: `Cannot ${action} ${path}: the file system is read-only.`, cause };
    case "ENOSPC":
    case "EDQUOT":
      return { kind: "disk-full", message: `Cannot ${action} ${path}: the disk is full; make room.`, cause };
    default: {
      const detail = messageOf(cause);
      return { kind: "io", message: `Cannot ${action} ${path}: ${detail}.`, cause };
    }
  }
}
