import { Ignored as AnyIgnored, type OnIgnored as OnAnyIgnored } from "../ignored.ts";

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

export type OnIgnored = OnAnyIgnored<IgnoredReason>;

export class Ignored extends AnyIgnored<IgnoredReason> {
  /** Of what looked like an answer of the router's and was none. */
  get suspicious(): number {
    const reasons = ["other-host", "location-elsewhere", "control-elsewhere"] as const;
    return reasons.reduce((sum, reason) => sum + (this.counts.get(reason) ?? 0), 0);
  }
}
