import type { Outcome, Section } from "../../core/doctor/model.ts";
import type { World } from "./world.ts";

/** One question of `hatchway doctor`. */
export interface Check {
  /** Stable: in JSON, and what a line begins with. */
  readonly id: string;
  readonly section: Section;
  /** What is said while it runs: `Looking at the disk`. */
  readonly doing: string;
  /** It looks into the data directory: where this user may not, that is said once, and this is skipped. */
  readonly isInside?: true;
  /** Absent: LIMIT_MS. */
  readonly limitMs?: number;
  /** `signal` aborts when its time is over, or the program is stopped. */
  look(world: World, signal: AbortSignal): Promise<Outcome>;
}

export const LIMIT_MS = 8_000;
