import { err, ok, type Result } from "../wire/result.ts";
import { errorCode, messageOf } from "./errors.ts";
import { type Child, spawn } from "./spawn.ts";

export type { Child };

/** missing: no such program, or no such interpreter. failed: the system could not start it. */
export interface StartError {
  readonly kind: "missing" | "permission" | "failed";
  /** One sentence that says what to do. */
  readonly message: string;
  readonly cause: unknown;
}

export interface ChildOptions {
  /** All that it finds in its environment; PATH is also where `argv[0]` is looked for. */
  readonly environment: Readonly<Record<string, string>>;
  /** Given on standard input, which then ends. Absent = empty. */
  readonly input?: string;
}

/** The directory of nobody in particular: none can be unmounted or removed for it. */
const DIRECTORY = "/";

/**
 * Starts a program by its arguments; there is no shell. It is a session and a group of its own: what it starts ends with
 * it (`endGroup`), and a Ctrl-C on the terminal is not for it, nor for what it leaves running (wireguard-go).
 */
export function startChild(
  argv: readonly string[],
  { environment, input = "" }: ChildOptions,
): Result<Child, StartError> {
  try {
    return ok(spawn(argv, { environment, cwd: DIRECTORY, input }));
  } catch (cause) {
    return err(startError(argv[0] ?? "", cause));
  }
}

/** Of a child and all that it started. It may be gone already, or (as another user) not be ours to end. */
export function endGroup(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    const code = errorCode(error);
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

/** Classifies an errno of fork(2) and execve(2) once. */
function startError(program: string, cause: unknown): StartError {
  const error = (kind: StartError["kind"], message: string): StartError => ({ kind, message, cause });
  switch (errorCode(cause)) {
    case "ENOENT":
      return error("missing", `There is no program ${program}, or what its first line names is missing: install it.`);
    case "EACCES":
    case "EPERM":
      return error("permission", `${program} may not be run by this user: make it executable (chmod +x).`);
    case "ENOEXEC":
      return error("failed", `${program} is not a program: begin a script with #!/bin/sh.`);
    case "E2BIG":
      return error("failed", `The arguments of ${program} are too long.`);
    case "EMFILE":
    case "ENFILE":
    case "EAGAIN":
    case "ENOMEM":
      return error(
        "failed",
        `${program} cannot be run: this machine or process is out of memory, processes or file descriptors.`,
      );
    default:
      return error("failed", `${program} cannot be run: ${messageOf(cause)}`);
  }
}
