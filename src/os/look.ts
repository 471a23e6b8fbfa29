import { constants } from "node:fs";
import { access, lstat, open, readdir, readFile, stat, statfs } from "node:fs/promises";
import { errorCode } from "./errors.ts";

/** Looks at files without changing or making any: what a person asks when something is wrong with them. */

export type PathSight =
  | { readonly kind: "missing" }
  /** This user may not look there. */
  | { readonly kind: "denied" }
  | { readonly kind: "file" | "directory" | "other"; readonly mode: number; readonly uid: number };

const MODE_BITS = 0o7777;
const MISSING = ["ENOENT", "ENOTDIR"];
const DENIED = ["EACCES", "EPERM"];

/** Links are followed. */
export async function lookAtPath(path: string): Promise<PathSight> {
  try {
    const found = await stat(path);
    const kind = found.isDirectory() ? "directory" : found.isFile() ? "file" : "other";
    return { kind, mode: found.mode & MODE_BITS, uid: found.uid };
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (MISSING.includes(code)) return { kind: "missing" };
    if (DENIED.includes(code)) return { kind: "denied" };
    throw error;
  }
}

/** Whether this user may write there, and the file system takes it. For a directory: make files in it. */
export async function isWritable(path: string): Promise<boolean> {
  return isAllowed(path, constants.W_OK);
}

export async function isReadable(path: string): Promise<boolean> {
  return isAllowed(path, constants.R_OK);
}

/** Whether this user gets into a directory. */
export async function isEnterable(path: string): Promise<boolean> {
  return isAllowed(path, constants.X_OK);
}

async function isAllowed(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return false;
  }
}

/** The room on the disk of a path; null = the system does not tell. */
export async function roomAt(path: string): Promise<{ readonly bytes: number; readonly files: number | null } | null> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(path);
    // btrfs and others make inodes as they need them, and say 0.
    return { bytes: bavail * bsize, files: files === 0 ? null : ffree };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return null;
  }
}

/** The first bytes of a file; fewer when it is shorter. */
export async function firstBytes(path: string, count: number): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const bytes = new Uint8Array(count);
    const { bytesRead } = await file.read(bytes, 0, count, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Names, sizes and modes of what is in a directory, by name; none when this user may not look. */
export async function listDirectory(path: string): Promise<{ name: string; bytes: number; mode: string }[]> {
  try {
    const names = (await readdir(path)).toSorted();
    return await Promise.all(
      names.map(async (name) => {
        const { size, mode } = await lstat(`${path}/${name}`);
        return { name, bytes: size, mode: (mode & MODE_BITS).toString(8) };
      }),
    );
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return [];
  }
}

/** How many files and sockets a process may have open, and has; null where the system does not tell (not Linux). */
export async function descriptorsOf(
  process: number | "self",
): Promise<{ readonly limit: number; readonly open: number | null } | null> {
  const root = `/proc/${process}`;
  try {
    // "Max open files            1048576              1048576              files" (proc_pid_limits(5)): the soft one counts.
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(await readFile(`${root}/limits`, "utf8")) ?? [];
    if (soft === undefined) return null;
    const limit = soft === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(soft);
    const open = await readdir(`${root}/fd`).then(
      (names) => names.length,
      () => null,
    );
    return { limit, open };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return null;
  }
}

/** `/proc/PID/status` (proc_pid_status(5)); empty where there is none. */
export async function processStatus(pid: number): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/status`, "utf8");
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return "";
  }
}
