// Why calls of "hatchway" fail (hatchway.d.ts).

/**
 * What a router, or the want of one, can be in the way with. silent: no answer in time. closed: nothing listens there.
 * unsupported: it speaks, but not this. conflict: the port is somebody else's. refused: its rules say no. exhausted: no room
 * for more. no-uplink: it has no address outside, or this machine no router. garbled: its answer makes no sense.
 */
export type RouterFailureKind =
  | "silent"
  | "closed"
  | "unsupported"
  | "conflict"
  | "refused"
  | "exhausted"
  | "no-uplink"
  | "garbled";

/**
 * What a relay, or what is behind it, can be in the way with. unreachable: no route, or no relay that answers. untrusted:
 * somebody else may have answered in the relay's place. denied: the relay does not take this device or join code. away: the
 * device to go out at is not connected. not-found: the host's name does not resolve. reset: the other side cut the connection.
 * lost: the connection to the relay broke. ended: somebody, or a time limit, ended it. Beside them, of `RouterFailureKind`,
 * closed: nothing listens there; silent: no answer in time; refused: a rule says no, or it cannot be; conflict: the port is
 * somebody else's; exhausted: a limit is reached.
 */
export type RelayFailureKind =
  | "unreachable"
  | "untrusted"
  | "denied"
  | "away"
  | "not-found"
  | "reset"
  | "lost"
  | "ended"
  | "silent"
  | "closed"
  | "conflict"
  | "refused"
  | "exhausted"
  | "garbled";

/**
 * What this package rejects with. `message` is one sentence that says what to do. usage: an option makes no sense.
 * aborted: by the signal, whose reason is `cause`.
 */
export class HatchwayError extends Error {
  constructor(kind: HatchwayError["kind"], message: string, options?: { readonly cause?: unknown });
  readonly name: string;
  readonly kind: RouterFailureKind | RelayFailureKind | "usage" | "aborted";
}

/** Why a port could not be opened at the router. */
export class OpenPortError extends HatchwayError {
  constructor(kind: OpenPortError["kind"], message: string, options?: { readonly cause?: unknown });
  readonly name: "OpenPortError";
  readonly kind: RouterFailureKind | "usage" | "aborted";
}
