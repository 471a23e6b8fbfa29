import type { ForwardEvent } from "../../core/events.ts";
import { HookQueue } from "../../core/hook-queue.ts";
import { hookHears } from "../../core/hooks.ts";
import type { Slots } from "../../core/slots.ts";
import type { Logger } from "../../os/log.ts";
import type { Deliver } from "./deliver.ts";
import type { HookSettings } from "./settings.ts";

/** Events that one hook may be behind. */
const MOST_WAITING = 1_000;

export interface RunnerOptions {
  readonly hook: HookSettings;
  readonly deliver: Deliver;
  /** What deliveries of several hooks share; null = nothing. */
  readonly slots: Slots | null;
  readonly logger: Logger;
  /** Ends the delivery under way and drops what waits. */
  readonly signal: AbortSignal;
}

/** One hook: its events are delivered one after another, in their order, and never in the caller's turn. */
export class HookRunner {
  readonly #options: RunnerOptions;
  readonly #queue = new HookQueue(MOST_WAITING);
  #running: Promise<void> | null = null;
  /** By a full queue, and not yet in the log. */
  #dropped = 0;
  /** Deliveries that failed in a row, and whether this streak is in the log. */
  #failures = 0;
  #told = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  hear(event: ForwardEvent): void {
    const { hook, signal } = this.#options;
    if (signal.aborted || !hookHears(hook.filter, event)) return;
    if (this.#queue.push(event)) this.#dropped++;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits and nothing runs. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    const { hook, signal, logger } = this.#options;
    await nextTurn();
    let delivered = true;
    while (!signal.aborted && this.#queue.size > 0) delivered = await this.#next();
    const left = this.#queue.size + (signal.aborted && !delivered ? 1 : 0);
    if (left > 0) logger.warning("events were not delivered", { hook: hook.label, events: left });
    this.#running = null;
  }

  /** False when the event that was taken was not delivered. */
  async #next(): Promise<boolean> {
    const { hook, deliver, slots, signal, logger } = this.#options;
    // The event is taken when its turn has come, so that the queue drops the oldest and not the one that waits for a slot.
    const leave = (await slots?.enter(signal)) ?? (() => {});
    try {
      const queued = signal.aborted ? null : this.#queue.take();
      if (queued === null) return true;
      if (this.#dropped > 0) {
        logger.warning("a hook is too slow: events were dropped", { hook: hook.label, events: this.#dropped });
        this.#dropped = 0;
      }
      const toldBefore = this.#told;
      let fails = false;
      const report = {
        failing: (message: string) => {
          fails = true;
          this.#failing(message);
        },
        wrote: (line: string) => {
          // What it says each time it fails is said once, too.
          if (!(fails && toldBefore)) logger.info("a hook wrote", { hook: hook.label, line });
        },
      };
      const delivered = await deliver(queued, report, signal);
      if (!delivered) this.#queue.givenUp(queued);
      this.#ended(delivered);
      return delivered;
    } catch (error) {
      logger.error("a hook failed unexpectedly", { hook: hook.label, error });
      return false;
    } finally {
      leave();
    }
  }

  /** Once per streak, at its first failure and not when the last try is through. */
  #failing(message: string): void {
    if (this.#told) return;
    this.#told = true;
    const { hook, logger } = this.#options;
    logger.warning("a hook fails; this is said once until it works again", { hook: hook.label, message });
  }

  #ended(delivered: boolean): void {
    const { hook, logger } = this.#options;
    if (!delivered) {
      this.#failures++;
      return;
    }
    if (this.#told) logger.info("a hook works again", { hook: hook.label, failed: this.#failures });
    this.#failures = 0;
    this.#told = false;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
