import { readlink } from "node:fs/promises";
import { Backoff, type BackoffOptions } from "../../core/backoff.ts";
import { followCommand, MAX_LINE_CHARS } from "../../os/command.ts";
import type { Logger } from "../../os/log.ts";
import { TABLE } from "./names.ts";

export interface MonitorOptions {
  readonly prefix: readonly string[];
  /** Whether the transaction of a process is one of ours. */
  readonly isOurs: (pid: number) => boolean;
  /** Somebody else's transaction touched our table, or may have: nobody watched for a moment. */
  readonly onForeign: () => void;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

const RESTART: BackoffOptions = { baseMs: 200, maxMs: 5_000, goodAfterMs: 5_000, atOnceEveryMs: 5_000 };
/** It takes 0.7 s to start with 100,000 elements in the kernel. */
const SETTLED_MS = 1_500;
const GENERATION = /^# new generation \d+ by process (\d+)/;
/** The kernel names processes by the number that the first namespace gives them. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Watches every transaction on this machine with one `nft monitor`: the lines of a transaction come before its
 * `# new generation N by process PID (name)`. What packets add to sets is not among them. It is a bell and no more: of
 * ranges in sets of concatenations nft 1.0.6 prints nothing, or its own memory in digits without an end, or it dies; its
 * end rings, too, and it is started again.
 */
export async function watchTransactions(options: MonitorOptions): Promise<void> {
  const { prefix, onForeign, signal, log } = options;
  const backoff = new Backoff(RESTART);
  while (!signal.aborted) {
    backoff.connected(performance.now());
    const faulty = new AbortController();
    const read = lineReader(options);
    const followed = followCommand([...prefix, "nft", "monitor"], {
      signal: AbortSignal.any([signal, faulty.signal]),
      onLine: (line) => (line.length < MAX_LINE_CHARS ? read(line) : faulty.abort()),
    });
    // Nobody says when it has begun to listen.
    const settled = setTimeout(onForeign, SETTLED_MS);
    settled.unref();
    const exitCode = followed.ok ? await followed.value.exited : null;
    clearTimeout(settled);
    if (signal.aborted) return;
    log.debug("nft monitor ended and is started again", {
      reason: followed.ok ? `exit code ${exitCode}` : followed.error.message,
    });
    onForeign();
    await waitMs(backoff.failed(performance.now(), Math.random()), signal);
  }
}

export function lineReader({
  isOurs,
  onForeign,
}: Pick<MonitorOptions, "isOurs" | "onForeign">): (line: string) => void {
  let touched = false;
  return (line) => {
    const pid = GENERATION.exec(line)?.[1];
    if (pid === undefined) {
      // A list of elements begins with its set's name; no rule text of another table has these words in this place.
      touched ||= line.includes(` ${TABLE}`);
      return;
    }
    if (touched && !isOurs(Number(pid))) onForeign();
    touched = false;
  };
}

/** In a container the kernel's numbers of processes are not the ones that this process sees. */
export async function seesKernelPids(): Promise<boolean> {
  try {
    return (await readlink("/proc/self/ns/pid")) === FIRST_PID_NAMESPACE;
  } catch {
    // No /proc: nothing can be said about numbers.
    return false;
  }
}

function waitMs(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    timer.unref();
    signal.addEventListener("abort", done, { once: true });
  });
}
