import { readlink } from "node:fs/promises";
import { Backoff } from "../../core/backoff.ts";
import { followCommand } from "../../os/command.ts";
import type { Logger } from "../../os/log.ts";
import { TABLE } from "./names.ts";

export interface MonitorOptions {
  readonly prefix: readonly string[];
  /** Whether the transaction of a process is one of ours. */
  readonly isOurs: (pid: number) => boolean;
  /** Somebody else's transaction touched our table, or may have: it was not watched for a while. */
  readonly onForeign: () => void;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

const GENERATION = /^# new generation \d+ by process (\d+)/;
/** The kernel names processes by the number that the first namespace gives them. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Watches every transaction on this machine with one `nft monitor`: the lines of a transaction come before its
 * `# new generation N by process PID (name)`. What packets add to sets is not among them.
 */
export async function watchTransactions(options: MonitorOptions): Promise<void> {
  const { prefix, onForeign, signal, log } = options;
  const backoff = new Backoff({ baseMs: 250, maxMs: 30_000, goodAfterMs: 10_000, atOnceEveryMs: 30_000 });
  while (!signal.aborted) {
    backoff.connected(performance.now());
    const followed = followCommand([...prefix, "nft", "monitor"], { signal, onLine: lineReader(options) });
    const exitCode = followed.ok ? await followed.value.exited : null;
    if (signal.aborted) return;
    const delayMs = backoff.failed(performance.now(), Math.random());
    log.warn("nft monitor ended; what others change is seen once a minute until it runs again", {
      reason: followed.ok ? `exit code ${exitCode}` : followed.error.message,
    });
    await waitMs(delayMs, signal);
    onForeign();
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
