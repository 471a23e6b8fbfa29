import { Penalties, type PenaltyOptions, SOURCE_PENALTIES } from "../../core/penalty.ts";
import { Pending } from "../../core/pending.ts";
import { sourceKey } from "../../wire/address.ts";

/** One after another, wrong credentials are answered after 1, 2, 4, 8 and then 10 s: no client waits longer, honest or not. */
const WRONG: PenaltyOptions = {
  ...SOURCE_PENALTIES,
  baseSec: { noAuth: 0, failed: 1, graceExceeded: 0 },
  maxSec: 10,
  minSec: 0,
};
/** Answers of one source that are held back at once: with 10 s each, three tries a second however many connections it opens. */
const WAITING = { total: 1024, perSource: 32, earlyFrom: 1024 } as const;

/**
 * Holds up whoever guesses at a proxy's password. An address proves nothing about who is there, but it is all there is to
 * count by: on loopback every program of the machine has the same one. So nobody is shut out for what another did: right
 * credentials wait until their source's penalty is over, 10 s at most, and are accepted then. They must wait, for who
 * learned at once which guess was right could make thousands side by side. Only who comes while a source has its fill of
 * held answers is turned away, right or wrong, and may try again.
 */
export class Guesses {
  readonly #penalties = new Penalties(WRONG);
  readonly #waiting = new Pending(WAITING);

  /** Milliseconds to hold the answer back; above 0, `answered` must follow. Null = too many wait already. */
  heldMs(address: string, right: boolean, nowMs: number): number | null {
    const source = sourceKey(address);
    const waitMs = right ? this.#penalties.refusedMs(source, nowMs) : this.#penalties.offend(source, "failed", nowMs);
    // Nobody is drawn by lot: `earlyFrom` is `total`.
    return waitMs === 0 || this.#waiting.enter(source, 1) === null ? waitMs : null;
  }

  /** As many answers of this source are held back as may be: the next one would be turned away. */
  isFull(address: string): boolean {
    return this.#waiting.of(sourceKey(address)) >= WAITING.perSource;
  }

  answered(address: string): void {
    this.#waiting.leave(sourceKey(address));
  }
}
