import { printable } from "../wire/igd/printable.ts";

/** `count`: how often for this reason, this time included; who logs each reason once logs at 1. `from`: an address or URL. */
export type OnIgnored<R extends string> = (reason: R, from: string, count: number) => void;

/** What came and does not count: anyone on the network may send it. Counts by reason, and tells of each. */
export class Ignored<R extends string> {
  readonly #counts = new Map<R, number>();
  readonly #onIgnored: OnIgnored<R>;

  constructor(onIgnored: OnIgnored<R>) {
    this.#onIgnored = onIgnored;
  }

  note(reason: R, from: string): void {
    const count = (this.#counts.get(reason) ?? 0) + 1;
    this.#counts.set(reason, count);
    this.#onIgnored(reason, printable(from), count);
  }

  get counts(): ReadonlyMap<R, number> {
    return this.#counts;
  }
}
