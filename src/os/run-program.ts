import { kill } from "node:process";
import { errorCode, messageOf } from "./errors.ts";
import type { After } from "./timers.ts";

export interface ProgramRun {
  /** The program and its arguments, handed on as they are: there is no shell. */
  readonly argv: readonly string[];
  /** All that the program finds in its environment; PATH is also where `argv[0]` is looked for. */
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly after: After;
  /** Ends the program, as the timeout does. */
  readonly signal: AbortSignal;
}

export type ProgramEnd =
  | { readonly kind: "exited"; readonly code: number; readonly output: ProgramOutput }
  | { readonly kind: "killed"; readonly signal: string; readonly output: ProgramOutput }
  | { readonly kind: "timedOut"; readonly output: ProgramOutput }
  | { readonly kind: "stopped"; readonly output: ProgramOutput }
  /** `message`: one sentence. */
  | { readonly kind: "notStarted"; readonly message: string };

/** The beginning of what the program wrote to both its outputs. */
export interface ProgramOutput {
  readonly text: string;
  readonly droppedBytes: number;
}

/** The directory of nobody in particular: none can be unmounted or removed for it. */
const DIRECTORY = "/";
const MAX_OUTPUT_BYTES = 16_384;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2_000;
/** What the program left behind in the background may keep its outputs open: they are read this much longer. */
const LAST_OUTPUT_MS = 100;

/** Runs a program to its end. Reads its outputs to the end too, so that it never waits for a reader. */
export async function runProgram(run: ProgramRun): Promise<ProgramEnd> {
  if (run.signal.aborted) return { kind: "stopped", output: { text: "", droppedBytes: 0 } };
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn(run);
  } catch (error) {
    return { kind: "notStarted", message: notStarted(run.argv[0] ?? "", error) };
  }
  const output = new Output();
  const readers = [child.stdout.getReader(), child.stderr.getReader()];
  const read = Promise.all(readers.map((reader) => output.readAll(reader)));

  let end: "timedOut" | "stopped" | null = null;
  let cancelKill = () => {};
  const stop = (why: "timedOut" | "stopped") => {
    if (end !== null) return;
    end = why;
    killGroup(child.pid, "SIGTERM");
    cancelKill = run.after(GRACE_MS, () => killGroup(child.pid, "SIGKILL"));
  };
  const cancelTimeout = run.after(run.timeoutMs, () => stop("timedOut"));
  const onAbort = () => stop("stopped");
  run.signal.addEventListener("abort", onAbort, { once: true });

  const code = await child.exited;
  cancelTimeout();
  cancelKill();
  run.signal.removeEventListener("abort", onAbort);
  // The program is gone; what it started and left behind when it was told to end goes with it.
  if (end !== null) killGroup(child.pid, "SIGKILL");
  const cancelReading = run.after(LAST_OUTPUT_MS, () => {
    // A reader that is cancelled ends its loop; nothing else can fail here.
    for (const reader of readers) void reader.cancel();
  });
  await read;
  cancelReading();
  const written = output.taken();
  if (end !== null) return { kind: end, output: written };
  if (child.signalCode !== null) return { kind: "killed", signal: `${child.signalCode}`, output: written };
  return { kind: "exited", code, output: written };
}

function spawn({ argv, environment }: ProgramRun) {
  // A group of its own (setsid): the programs that a script runs end with it.
  return Bun.spawn([...argv], {
    env: { ...environment },
    cwd: DIRECTORY,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
}

/** It may be gone already, or (as another user) not be ours to end: there is nothing more to do then. */
function killGroup(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    kill(-pid, signal);
  } catch (error) {
    const code = errorCode(error);
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

function notStarted(program: string, error: unknown): string {
  switch (errorCode(error)) {
    case "ENOENT":
      return `There is no program ${program}, or what its first line names is missing.`;
    case "EACCES":
    case "EPERM":
      return `${program} may not be run: make it executable (chmod +x).`;
    case "ENOEXEC":
      return `${program} is not a program: begin a script with #!/bin/sh.`;
    case "E2BIG":
      return `The arguments of ${program} are too long.`;
    case "EMFILE":
    case "ENFILE":
    case "EAGAIN":
    case "ENOMEM":
      return `${program} cannot be run: this machine or process is out of memory, processes or file descriptors.`;
    default:
      return `${program} cannot be run: ${messageOf(error)}`;
  }
}

/** As much of ReadableStreamDefaultReader as is used: the runtime's types for it disagree. */
interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

class Output {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #droppedBytes = 0;

  async readAll(reader: Reader): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || value === undefined) return;
      const kept = value.subarray(0, MAX_OUTPUT_BYTES - this.#bytes);
      if (kept.length > 0) this.#chunks.push(kept);
      this.#bytes += kept.length;
      this.#droppedBytes += value.length - kept.length;
    }
  }

  taken(): ProgramOutput {
    return { text: Buffer.concat(this.#chunks).toString("utf8"), droppedBytes: this.#droppedBytes };
  }
}
