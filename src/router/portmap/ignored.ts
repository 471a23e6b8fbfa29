import { Ignored as AnyIgnored, type OnIgnored as OnAnyIgnored } from "../ignored.ts";

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

export type OnIgnored = OnAnyIgnored<IgnoredReason>;

export class Ignored extends AnyIgnored<IgnoredReason> {}
