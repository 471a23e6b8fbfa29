import { mkdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ControlError } from "./control.ts";
import { acquireLock } from "./lock.ts";

const DIRECTORY_MODE = 0o700;
/** Left out of the mode of what is made here: 0600, private from its first moment. */
const PRIVATE_UMASK = 0o177;

export type LocalRole = "relay" | "agent" | "gateway";

export interface SocketFile {
  readonly path: string;
  /** Runs `bind`, which makes the socket at once, so that only its owner may ever open it. */
  bound<T>(bind: (path: string) => T): T;
  /** Removes the socket and frees its name for another process. */
  release(): void;
}

/**
 * Reserves a socket's name for this process: makes its directory (private) if need be, refuses with ControlError `usage` when
 * a live process has the name, and removes the socket that a dead one left.
 */
export function reserveSocket(path: string, role: LocalRole): SocketFile {
  const directory = dirname(path);
  try {
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  } catch (cause) {
    throw new ControlError("usage", `The data directory ${directory} cannot be made: name another with --data.`, {
      cause,
    });
  }
  const lock = openLock(`${path}.lock`);
  if (lock === null) {
    throw new ControlError(
      "usage",
      `The ${role} of ${directory} is already running: stop it first, or name another directory with --data.`,
    );
  }
  rmSync(path, { force: true });
  let released = false;
  return {
    path,
    bound: (bind) => boundBeside(path, bind),
    release: () => {
      // Released once: after that the name may be another process's.
      if (released) return;
      released = true;
      rmSync(path, { force: true });
      lock.release();
    },
  };
}

/**
 * Runs `bind`, which makes the socket at once, and puts it at `path`: in the place of another process's, if there is one. Bun
 * (1.4.5) removes what is at the name that it bound when it stops, though that may be the socket of the process that took
 * over. So the socket is bound under a name of this process's own, as long as the one that it gets.
 */
export function boundBeside<T>(path: string, bind: (path: string) => T): T {
  const name = `.${basename(path).charAt(0)}${process.pid.toString(36)}`;
  const made = join(dirname(path), name.padEnd(basename(path).length, "-"));
  rmSync(made, { force: true });
  const server = privately(() => bind(made));
  renameSync(made, path);
  return server;
}

function openLock(path: string) {
  try {
    return privately(() => acquireLock(path));
  } catch (cause) {
    throw new ControlError(
      "usage",
      `The file ${path} cannot be written: check the owner of its directory, or name another with --data.`,
      {
        cause,
      },
    );
  }
}

/** Runs `make`; the files that it makes at once are their owner's alone. */
export function privately<T>(make: () => T): T {
  const before = process.umask(PRIVATE_UMASK);
  try {
    return make();
  } finally {
    process.umask(before);
  }
}
