import { printable } from "../../wire/igd/printable.ts";

/**
 * What does not count, however well it is made: anyone on the network may answer a search, announce itself, or be named
 * in a description.
 *
 * other-host: an answer about a gateway, from another address than the router's. other-device: another thing of the
 * network answered the search for everything, as it should. other-announcement: another address announced a gateway.
 * unreadable: a datagram that is no SSDP. location-elsewhere: a description's URL that leads to another host, or to a
 * name. control-elsewhere: a control URL in a description that does.
 */
export type IgnoredReason =
  | "other-host"
  | "other-device"
  | "other-announcement"
  | "unreadable"
  | "location-elsewhere"
  | "control-elsewhere";

/** `count`: how often for this reason, this time included; who logs each reason once logs at 1. `from`: an address or URL. */
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
    this.#onIgnored(reason, printable(from), count);
  }

  get counts(): ReadonlyMap<IgnoredReason, number> {
    return this.#counts;
  }

  /** Of what looked like an answer of the router's and was none. */
  get suspicious(): number {
    const reasons = ["other-host", "location-elsewhere", "control-elsewhere"] as const;
    return reasons.reduce((sum, reason) => sum + (this.#counts.get(reason) ?? 0), 0);
  }
}
