import { endGroup, startChild } from "./child.ts";
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

const MAX_OUTPUT_BYTES = 16_384;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2_000;
/** What the program left behind in the background may keep its outputs open: they are read this much longer. */
const LAST_OUTPUT_MS = 100;

/**
 * Runs a program of the operator's to its end, with a moment to end in order, and keeps the beginning of what it wrote.
 * It reads all of that, so that the program never waits for a reader. For the system's own programs see command.ts.
 */
export async function runProgram(run: ProgramRun): Promise<ProgramEnd> {
  if (run.signal.aborted) return { kind: "stopped", output: { text: "", droppedBytes: 0 } };
  const started = startChild(run.argv, { environment: run.environment });
  if (!started.ok) return { kind: "notStarted", message: started.error.message };
  const child = started.value;
  const output = new Output();
  const readers = [child.stdout.getReader(), child.stderr.getReader()];
  const read = Promise.all(readers.map((reader) => output.readAll(reader)));

  let end: "timedOut" | "stopped" | null = null;
  let cancelKill = () => {};
  const stop = (why: "timedOut" | "stopped") => {
    if (end !== null) return;
    end = why;
    endGroup(child.pid, "SIGTERM");
    cancelKill = run.after(GRACE_MS, () => endGroup(child.pid, "SIGKILL"));
  };
  const cancelTimeout = run.after(run.timeoutMs, () => stop("timedOut"));
  const onAbort = () => stop("stopped");
  run.signal.addEventListener("abort", onAbort, { once: true });

  const code = await child.exited;
  cancelTimeout();
  cancelKill();
  run.signal.removeEventListener("abort", onAbort);
  // The program is gone; what it started and left behind when it was told to end goes with it.
  if (end !== null) endGroup(child.pid, "SIGKILL");
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
