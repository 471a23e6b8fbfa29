import { ptr } from "bun:ffi";
import {
  accessSync,
  chownSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
} from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../wire/result.ts";
import { openCLibrary } from "./c-library.ts";
import { errorCode, messageOf } from "./errors.ts";
import { fileError, OTHERS_MASK, PRIVATE_DIRECTORY_MODE } from "./files.ts";
import type { SystemUser } from "./users.ts";

const ROOT_UID = 0;

/**
 * Gives a directory of ours, the files in it and those of its `folders` that are named to the user, unless it is another's
 * already: then what is in it may be anything (links to files of root's, say), and is left as it is. Links are never
 * followed. An error is a sentence.
 */
export function giveDirectory(
  directory: string,
  user: SystemUser,
  folders: readonly string[] = [],
): Result<null, string> {
  const { uid, gid } = user;
  return orSentence(directory, () => {
    if (lstatSync(directory).uid !== ROOT_UID) return ok(null);
    const inside = giveFiles(folders, user);
    if (!inside.ok) return inside;
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const found = lstatSync(path);
      if (found.isSymbolicLink() || found.isDirectory() || found.nlink > 1) continue;
      chownSync(path, uid, gid);
    }
    chownSync(directory, uid, gid);
    return ok(null);
  });
}

/**
 * Gives the directory itself, which is the user's already, to the user's group. systemd gives a state directory away with
 * all that is in it, root's own too, when either is another's (StateDirectory=). An error is a sentence.
 */
export function giveToGroup(directory: string, { uid, gid }: SystemUser): Result<null, string> {
  return orSentence(directory, () => {
    const found = lstatSync(directory);
    if (found.isDirectory() && found.uid === uid && found.gid !== gid) lchownSync(directory, uid, gid);
    return ok(null);
  });
}

/**
 * Gives those of the files, and of the directories with what is in them, to the user that are root's: of a command that root
 * ran in a directory of the user's. Who owns the directory may put anything into it meanwhile, so what is given is
 * what was looked at: never what a link leads to, nor a file with another name elsewhere. `kept`: names that stay root's.
 * Returns how many were given; an error is a sentence.
 */
export function giveFiles(
  paths: readonly string[],
  { uid, gid }: Pick<SystemUser, "uid" | "gid">,
  kept: ReadonlySet<string> = new Set(),
): Result<number, string> {
  let given = 0;
  const give = (path: string): void => {
    const descriptor = openFile(path);
    if (descriptor === null) return;
    try {
      const found = fstatSync(descriptor);
      const isDirectory = found.isDirectory();
      if (found.uid !== ROOT_UID || !(isDirectory || (found.isFile() && found.nlink === 1))) return;
      if (isDirectory) {
        const inside = byDescriptor(descriptor, path);
        for (const name of readdirSync(inside)) if (!kept.has(name)) give(join(inside, name));
      }
      fchownSync(descriptor, uid, gid);
      given++;
    } finally {
      closeSync(descriptor);
    }
  };
  for (const path of paths) {
    const done = orSentence(path, () => {
      give(path);
      return ok(null);
    });
    if (!done.ok) return done;
  }
  return ok(given);
}

/** The path of the open directory itself, whatever has the name by now; elsewhere than on Linux there is none. */
function byDescriptor(descriptor: number, path: string): string {
  return process.platform === "linux" ? `/proc/self/fd/${descriptor}` : path;
}

/** Null: there is none, or it is no file (ELOOP: a link; ENXIO: a socket). */
function openFile(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (["ENOENT", "ELOOP", "ENXIO"].includes(errorCode(error) ?? "")) return null;
    throw error;
  }
}

/** Whose it is; null when there is nothing. */
export function ownerOf(path: string): number | null {
  return lstatSync(path, { throwIfNoEntry: false })?.uid ?? null;
}

/** Makes a directory that only root may look into, or says in a sentence why what is there is not one. */
export function makeRootDirectory(path: string): Result<null, string> {
  return orSentence(path, () => {
    mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
    const found = lstatSync(path);
    const sound = found.isDirectory() && found.uid === ROOT_UID && (found.mode & OTHERS_MASK) === 0;
    return sound
      ? ok(null)
      : err(
          `${path} must be a directory of root's with mode 0700: run chown -R root: on it if nobody else could change it, else move it away.`,
        );
  });
}

/** What the system does not allow on a directory: a disk that is read-only, a share where root is nobody. */
function orSentence(path: string, act: () => Result<null, string>): Result<null, string> {
  try {
    return act();
  } catch (cause) {
    return err(fileError(cause, "write", path).message);
  }
}

/**
 * This process, all threads of it, is the user from now on, for good, without any capability. (glibc and musl change
 * every thread at setuid; the kernel clears the capabilities of a root that leaves uid 0, capabilities(7).)
 * `lowPorts`: but the one to listen on ports below 1024, for this thread, which is where JavaScript opens sockets.
 */
export function becomeUser(
  { uid, gid, name }: SystemUser,
  { lowPorts = false }: { readonly lowPorts?: boolean } = {},
): Result<null, string> {
  const { setuid, setgid, setgroups, getuid } = process;
  if (setuid === undefined || setgid === undefined || setgroups === undefined || getuid === undefined) {
    return err("This system has no users to change to.");
  }
  const keep = lowPorts ? keptCapability() : null;
  try {
    setgroups([]);
    setgid(gid);
    keep?.before();
    setuid(uid);
    keep?.after();
  } catch (error) {
    return err(`The gateway may not become user ${name}, which the system here does not allow: ${messageOf(error)}.`);
  }
  if (getuid() !== uid || canBeRoot()) return err(`The gateway could not give up its privileges for user ${name}.`);
  return ok(null);
}

/** Whether this process, as the user that it is by now, gets into a directory and may make files there. */
export function mayUse(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function canBeRoot(): boolean {
  try {
    process.setuid?.(ROOT_UID);
    return true;
  } catch {
    return false;
  }
}

/** prctl(2), capset(2), capabilities(7). */
const PR_SET_KEEPCAPS = 8;
const LINUX_CAPABILITY_VERSION_3 = 0x2008_0522;
const CAP_NET_BIND_SERVICE = 10;
const SYMBOLS = {
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  capset: { args: ["ptr", "ptr"], returns: "i32" },
} as const;

/** What is to be done before and after setuid, so that one capability stays. Throws when the system cannot be asked. */
function keptCapability() {
  const library = openCLibrary(SYMBOLS);
  if (library === null) throw new Error("The C library was not found.");
  const { prctl, capset } = library;
  const check = (result: number, what: string): void => {
    if (result !== 0) throw new Error(`${what} failed`);
  };
  return {
    before: () => check(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl"),
    after(): void {
      const header = new Uint32Array([LINUX_CAPABILITY_VERSION_3, 0]);
      const wanted = 1 << CAP_NET_BIND_SERVICE;
      // Effective, permitted, inheritable: of the first 32 capabilities, then of the rest.
      const data = new Uint32Array([wanted, wanted, 0, 0, 0, 0]);
      check(capset(ptr(header), ptr(data)), "capset");
      check(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), "prctl");
    },
  };
}
