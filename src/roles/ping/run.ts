import type { PingOutcome, PingPath } from "../../core/ping/model.ts";
import { PingSchedule, type ProbeId } from "../../core/ping/schedule.ts";
import type { PingEvent } from "../control.ts";
import { EventQueue } from "../event-queue.ts";
import { V } from "../views.ts";
import { type PreparedRoute, type PrepareOptions, prepare } from "./prepare.ts";
import { startProbe } from "./probe.ts";

export interface RunPingOptions extends PrepareOptions {
  /** Probes of each path. */
  readonly count: number;
  readonly intervalMs: number;
  readonly random: () => number;
}

/** Measures the routes in turns. Ends by itself, or quietly on abort; throws as `prepare` does. */
export async function* runPing(options: RunPingOptions): AsyncGenerator<PingEvent> {
  const prepared = await prepare(options);
  if (options.signal.aborted) return;
  yield {
    event: "started",
    ...V,
    protocol: options.protocol,
    paths: prepared.map(({ route: { path, via, to }, measure }) => ({ path, via, to, measure })),
  };
  const run = new PingRun(options, prepared);
  const stop = () => run.close();
  options.signal.addEventListener("abort", stop, { once: true });
  if (options.signal.aborted) stop();
  try {
    yield* run.events;
  } finally {
    options.signal.removeEventListener("abort", stop);
    run.close();
  }
}

/** Drives the schedule: its one timer, and the probes under way. */
class PingRun {
  readonly events = new EventQueue<PingEvent>();
  readonly #options: RunPingOptions;
  readonly #routes: ReadonlyMap<PingPath, PreparedRoute>;
  readonly #schedule: PingSchedule;
  readonly #startMs: number;
  /** What cuts a probe short, by its name. */
  readonly #underWay = new Map<string, () => void>();
  #stopTimer = () => {};
  #closed = false;

  constructor(options: RunPingOptions, routes: readonly PreparedRoute[]) {
    this.#options = options;
    this.#routes = new Map(routes.map((prepared) => [prepared.route.path, prepared]));
    this.#startMs = options.clock.nowMs();
    const paths = routes.map(({ route }) => route.path);
    this.#schedule = new PingSchedule({ ...options, paths }, this.#startMs, options.random);
    this.#goOn();
  }

  /** Does what is due, and comes back when something is again. */
  #goOn(): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    for (const { kind, probe } of this.#schedule.due(clock.nowMs())) {
      if (kind === "send") this.#send(probe);
      else this.#underWay.get(nameOf(probe))?.();
    }
    this.#stopTimer();
    if (this.#schedule.done) {
      this.events.end();
      return;
    }
    const deadlineMs = this.#schedule.nextDeadlineMs();
    if (deadlineMs !== null) {
      this.#stopTimer = clock.after(Math.max(0, deadlineMs - clock.nowMs()), () => this.#goOn());
    }
  }

  #send(probe: ProbeId): void {
    const prepared = this.#routes.get(probe.path);
    if (prepared === undefined) return;
    const { clock } = this.#options;
    const atMs = clock.nowMs() - this.#startMs;
    const name = nameOf(probe);
    // A link that breaks under the probe settles it within the call.
    this.#underWay.set(name, () => {});
    const cancel = startProbe(prepared.route, prepared.question, clock, ({ outcome }) => {
      this.#underWay.delete(name);
      if (this.#closed) return;
      this.events.push(probeEvent(probe, atMs, outcome));
      // One that expired is settled by the schedule itself.
      if (this.#schedule.settled(probe)) this.#goOn();
    });
    if (this.#underWay.has(name)) this.#underWay.set(name, cancel);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTimer();
    for (const cancel of [...this.#underWay.values()]) cancel();
    this.events.end();
  }
}

function nameOf({ path, seq }: ProbeId): string {
  return `${path}/${seq}`;
}

function probeEvent({ path, seq }: ProbeId, atMs: number, outcome: PingOutcome): PingEvent {
  const found = "ms" in outcome ? { ms: toMicroseconds(outcome.ms), lost: null } : { ms: null, lost: outcome.lost };
  return { event: "probe", ...V, path, seq: seq + 1, atMs: toMicroseconds(atMs), ...found };
}

/** What the clock is worth. */
function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
