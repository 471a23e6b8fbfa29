import type { PingPath } from "./model.ts";

export interface ScheduleSettings {
  readonly paths: readonly PingPath[];
  /** Probes of each path. */
  readonly count: number;
  /** Between two probes of one path, on average. */
  readonly intervalMs: number;
  /** From a probe's sending until it counts as lost. */
  readonly timeoutMs: number;
}

/** A probe by its path and its number there, from 0. */
export interface ProbeId {
  readonly path: PingPath;
  readonly seq: number;
}

export type ScheduleAction =
  | { readonly kind: "send"; readonly probe: ProbeId }
  /** It had its time: whatever is open for it is to be closed. */
  | { readonly kind: "expire"; readonly probe: ProbeId };

interface Planned extends ProbeId {
  readonly atMs: number;
}

/**
 * A probe goes off at random within this share of its slot: what happens on a path at regular times (a Wi-Fi scan, a
 * beacon, another program's timer) is then neither met by every probe nor missed by all. The rest of the slot keeps
 * probes of both paths apart, so that one does not wait for this process to serve the other.
 */
const RANDOM_SHARE = 0.75;
/** Of both paths together: a long timeout at a short interval must not hold thousands of sockets. */
const MAX_OUTSTANDING = 64;

/**
 * When which path is probed: in rounds, every path once in a round, in an order drawn anew for each. So both meet the
 * same weather, and neither is always the second. A state machine: the driver gives it the time and the outcomes.
 */
export class PingSchedule {
  readonly #timeoutMs: number;
  readonly #waiting: Planned[];
  /** Deadlines, in the order of sending: the first is the earliest. */
  readonly #outstanding = new Map<string, { readonly probe: ProbeId; readonly deadlineMs: number }>();

  /** `random` gives numbers from 0 up to 1. */
  constructor(settings: ScheduleSettings, startMs: number, random: () => number) {
    this.#timeoutMs = settings.timeoutMs;
    this.#waiting = plan(settings, startMs, random);
  }

  /** Everything that is due; what expired comes first, and makes room for what is sent. */
  due(nowMs: number): ScheduleAction[] {
    const actions: ScheduleAction[] = [];
    for (const [key, { probe, deadlineMs }] of this.#outstanding) {
      if (deadlineMs > nowMs) break;
      this.#outstanding.delete(key);
      actions.push({ kind: "expire", probe });
    }
    while (this.#hasRoom) {
      const next = this.#waiting[0];
      if (next === undefined || next.atMs > nowMs) break;
      this.#waiting.shift();
      const probe = { path: next.path, seq: next.seq };
      this.#outstanding.set(keyOf(probe), { probe, deadlineMs: nowMs + this.#timeoutMs });
      actions.push({ kind: "send", probe });
    }
    return actions;
  }

  /** The probe has its outcome. False when it had expired before, and counts as lost already. */
  settled(probe: ProbeId): boolean {
    return this.#outstanding.delete(keyOf(probe));
  }

  get #hasRoom(): boolean {
    return this.#outstanding.size < MAX_OUTSTANDING;
  }

  /** When `due` has something to say next; null = it never has again by itself. */
  nextDeadlineMs(): number | null {
    const [first] = this.#outstanding.values();
    const deadlines = [first?.deadlineMs, this.#hasRoom ? this.#waiting[0]?.atMs : undefined];
    const known = deadlines.filter((deadlineMs) => deadlineMs !== undefined);
    return known.length === 0 ? null : Math.min(...known);
  }

  /** Every probe was sent, and has its outcome or expired. */
  get done(): boolean {
    return this.#waiting.length === 0 && this.#outstanding.size === 0;
  }
}

function keyOf({ path, seq }: ProbeId): string {
  return `${path}/${seq}`;
}

/** In the order of time. */
function plan({ paths, count, intervalMs }: ScheduleSettings, startMs: number, random: () => number): Planned[] {
  const slotMs = intervalMs / Math.max(1, paths.length);
  return Array.from({ length: count }, (_, seq) =>
    shuffled(paths, random).map((path, place) => {
      const slotStartMs = startMs + seq * intervalMs + place * slotMs;
      return { path, seq, atMs: slotStartMs + random() * slotMs * RANDOM_SHARE };
    }),
  ).flat();
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}
