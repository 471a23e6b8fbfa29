import { readFileSync } from "node:fs";

/** Kept for what is not counted here: listeners, carriers, files, the database. A quarter where the limit is small. */
const RESERVE = 256;
const RESERVE_SHARE = 0.25;
const SOFT_LIMIT = /^Max open files\s+(\d+)/m;

/**
 * The file descriptors of this process that connections take. Visitors are refused while some are left: when accept(2)
 * fails for want of one, Bun 1.4.5 tries again without pause (measured: one core busy until a visitor leaves).
 */
export class Descriptors {
  readonly #most: number;
  #used = 0;

  /** `limit`: open files that this process may have. */
  constructor(limit: number = openFilesLimit()) {
    this.#most = limit - Math.min(RESERVE, Math.floor(limit * RESERVE_SHARE));
  }

  /** No more connections should be begun. */
  get scarce(): boolean {
    return this.#used >= this.#most;
  }

  taken(): void {
    this.#used += 1;
  }

  given(): void {
    this.#used -= 1;
  }
}

/** RLIMIT_NOFILE, which Bun raises to the hard limit at its start; infinity where the system does not tell. */
export function openFilesLimit(): number {
  if (process.platform !== "linux") return Number.POSITIVE_INFINITY;
  const found = SOFT_LIMIT.exec(readFileSync("/proc/self/limits", "utf8"));
  return found === null ? Number.POSITIVE_INFINITY : Number(found[1]);
}
