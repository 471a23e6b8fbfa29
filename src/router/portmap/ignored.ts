/**
 * What does not count, though it came to where answers come.
 *
 * other-host: from another address than the router's. other-port: from the router, and not from where the question went.
 * unreadable: from there, and nothing that either protocol says. other-nonce: to a question that was asked, from somebody
 * who did not see it. unasked: to no question. other-announcement: another address announced that its state is new.
 */
export type IgnoredReason =
  | "other-host"
  | "other-port"
  | "unreadable"
  | "other-nonce"
  | "unasked"
  | "other-announcement";

/** `count`: how often for this reason, this time included; who logs each reason once logs at 1. `from`: an address. */
export type OnIgnored = (reason: IgnoredReason, from: string, count: number) => void;

/** Counts by reason, and tells of each. */
export class Ignored {
  readonly #counts = new Map<IgnoredReason, number>();
  readonly #onIgnored: OnIgnored;

  constructor(onIgnored: OnIgnored) {
    this.#onIgnored = onIgnored;
  }

  note(reason: IgnoredReason, from: string): void {
    const count = (this.#counts.get(reason) ?? 0) + 1;
    this.#counts.set(reason, count);
    this.#onIgnored(reason, from, count);
  }
}
