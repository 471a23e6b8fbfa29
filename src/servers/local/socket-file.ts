import { chmodSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ControlError } from "./control.ts";
import { acquireLock } from "./lock.ts";

const DIRECTORY_MODE = 0o700;
const SOCKET_MODE = 0o600;
const OTHERS = 0o077;

export interface SocketFile {
  readonly path: string;
  /** To be called once the socket is bound: only its owner may open it. */
  bound(): void;
  /** Removes the socket and frees its name for another process. */
  release(): void;
}

/**
 * Reserves a socket's name for this process: makes its directory private, refuses with ControlError `usage` when
 * a live process has the name, and removes the socket that a dead one left.
 */
export function reserveSocket(path: string, role: "relay" | "agent"): SocketFile {
  const directory = dirname(path);
  try {
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    if ((statSync(directory).mode & OTHERS) !== 0) chmodSync(directory, DIRECTORY_MODE);
  } catch (cause) {
    throw new ControlError(
      "usage",
      `The data directory ${directory} cannot be made private to you: name another with --data.`,
      { cause },
    );
  }
  const lock = openLock(`${path}.lock`);
  if (lock === null) {
    throw new ControlError(
      "usage",
      `The ${role} of ${directory} is already running: stop it first, or name another directory with --data.`,
    );
  }
  rmSync(path, { force: true });
  return {
    path,
    bound: () => chmodSync(path, SOCKET_MODE),
    release: () => {
      rmSync(path, { force: true });
      lock.release();
    },
  };
}

function openLock(path: string) {
  try {
    return acquireLock(path);
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
