import { accessSync, constants } from "node:fs";
import { constants as systemConstants } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";

/** A program that was started. What it prints must be read: a full pipe stops it. */
export interface Child {
  readonly pid: number;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** The exit code; a signal counts as 128 + its number, as in a shell. */
  readonly exited: Promise<number>;
  /** What ended it, a number where it has no name; null = no signal, or it runs. */
  readonly signalCode: string | number | null;
}

export interface SpawnOptions {
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** "" = standard input is empty. */
  readonly input: string;
}

/** Starts a program in a session and a group of its own. Throws the system's error when that fails. */
export function spawn(argv: readonly string[], options: SpawnOptions): Child {
  // The program itself runs on Bun; the library on Node as well, where it needs the system's programs to read routes.
  return typeof Bun === "undefined" ? spawnOnNode(argv, options) : spawnOnBun(argv, options);
}

export interface StartedBeside extends Pick<Child, "exited"> {
  /** Ends it, if it is a child of this process. */
  kill(): void;
}

/**
 * Starts a program that lives on when this process ends: it writes where this one does, and is in its cgroup and its sandbox.
 * Under systemd ($NOTIFY_SOCKET) it is not this process's child: systemd hears of the end of its own children alone
 * (setsid(1) of util-linux forks and leaves), and `exited` tells only whether it could be started. Throws the system's error.
 */
export function spawnBeside(argv: readonly string[]): StartedBeside {
  const setsid = process.env["NOTIFY_SOCKET"] === undefined ? null : Bun.which("setsid");
  const detached = setsid === null ? [] : [setsid, "--fork"];
  const options = { stdin: "ignore", stdout: "inherit", stderr: "inherit", env: process.env } as const;
  const child = Bun.spawn([...detached, ...argv], options);
  child.unref();
  return { exited: child.exited, kill: () => child.kill("SIGKILL") };
}

function spawnOnBun(argv: readonly string[], { environment, cwd, input }: SpawnOptions): Child {
  return Bun.spawn([...argv], {
    env: { ...environment },
    cwd,
    stdin: input === "" ? "ignore" : new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
}

function spawnOnNode(argv: readonly string[], { environment, cwd, input }: SpawnOptions): Child {
  const [program = "", ...args] = argv;
  // Not imported: Bun, which never comes here, takes 14 ms to load the two.
  const { Readable } = process.getBuiltinModule("node:stream");
  const { spawn: start } = process.getBuiltinModule("node:child_process");
  const child = start(program, args, { env: { ...environment }, cwd, stdio: "pipe", detached: true });
  // Why it did not start comes as an event, later than the caller wants to know.
  child.on("error", () => {});
  if (child.pid === undefined) throw whyNot(program, environment["PATH"] ?? "");
  // A program that has ended reads nothing more.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const bytes = (stream: Readable) => Readable.toWeb(stream) as ReadableStream<Uint8Array>;
  const exited = new Promise<number>((resolve) => {
    child.once("exit", (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : systemConstants.signals[signal]));
    });
  });
  return {
    pid: child.pid,
    stdout: bytes(child.stdout),
    stderr: bytes(child.stderr),
    exited,
    get signalCode() {
      return child.signalCode;
    },
  };
}

/** As execvp(3) looks for it: a file that may not be run counts when no folder has one that may. */
function whyNot(program: string, path: string): Error {
  const candidates = program.includes("/") ? [program] : path.split(":").map((folder) => join(folder, program));
  let why: NodeJS.ErrnoException | null = null;
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return new Error(`${candidate} did not start.`);
    } catch (cause) {
      const error = cause as NodeJS.ErrnoException;
      if (why === null || error.code !== "ENOENT") why = error;
    }
  }
  return why ?? new Error("There is no program without a name.");
}
