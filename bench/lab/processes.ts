import { readFile } from "node:fs/promises";

/** Linux reports processor time in ticks of 1/100 s to every program (`getconf CLK_TCK`). */
const TICKS_PER_SEC = 100;
/** Fields of /proc/PID/stat after the command's name, proc_pid_stat(5): utime, stime, cutime, cstime. */
const FIRST_TIME_FIELD = 11;

const POLL_MS = 20;

export interface Usage {
  /** User and system time, of children that have ended too. */
  readonly cpuSec: number;
  readonly residentBytes: number;
}

const NOTHING: Usage = { cpuSec: 0, residentBytes: 0 };

async function usageOf(id: number): Promise<Usage> {
  try {
    const [stat, status] = await Promise.all([
      readFile(`/proc/${id}/stat`, "utf8"),
      readFile(`/proc/${id}/status`, "utf8"),
    ]);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(FIRST_TIME_FIELD, FIRST_TIME_FIELD + 4).reduce((sum, field) => sum + Number(field), 0);
    const residentKb = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return { cpuSec: ticks / TICKS_PER_SEC, residentBytes: residentKb * 1024 };
  } catch {
    return NOTHING; // It ended between the listing and the look.
  }
}

/** The sum over these processes. */
export async function usage(ids: readonly number[]): Promise<Usage> {
  const all = await Promise.all(ids.map(usageOf));
  return {
    cpuSec: all.reduce((sum, one) => sum + one.cpuSec, 0),
    residentBytes: all.reduce((sum, one) => sum + one.residentBytes, 0),
  };
}

/** The process and those that it started, and theirs. */
export async function withChildren(id: number): Promise<readonly number[]> {
  const children = await readFile(`/proc/${id}/task/${id}/children`, "utf8").catch(() => "");
  const below = await Promise.all(
    children
      .split(" ")
      .filter((child) => child !== "")
      .map((child) => withChildren(Number(child))),
  );
  return [id, ...below.flat()];
}

/**
 * Asks these processes to end, and ends those that are still there after `graceMs`. Resolves when all are gone for good:
 * a process leaves its namespace before its sockets are closed, and its ports would still be taken.
 */
export async function endProcesses(list: () => Promise<readonly number[]>, graceMs: number): Promise<void> {
  const deadline = Date.now() + graceMs;
  const seen = new Set<number>();
  for (let left = await list(); left.length > 0; left = await list()) {
    const name = Date.now() < deadline ? "SIGTERM" : "SIGKILL";
    for (const id of left) {
      if (name === "SIGKILL" || !seen.has(id)) signal(id, name);
      seen.add(id);
    }
    await Bun.sleep(POLL_MS);
  }
  while ((await Promise.all([...seen].map(isAlive))).includes(true)) await Bun.sleep(POLL_MS);
}

/** False for a process that has ended and only waits for its parent to take note (state Z). */
async function isAlive(id: number): Promise<boolean> {
  const stat = await readFile(`/proc/${id}/stat`, "utf8").catch(() => null);
  return stat !== null && stat[stat.lastIndexOf(")") + 2] !== "Z";
}

/** Nothing happens when the process is gone. */
export function signal(id: number, name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(id, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
