import type { ReasonName } from "../../wire/reason.ts";

/** direct: from this machine straight to the target. forwarded: to the same target through the tunnel, a forward or a proxy. */
export const PING_PATHS = ["direct", "forwarded"] as const;
export type PingPath = (typeof PING_PATHS)[number];

/**
 * What a probe waits for. Each is one round trip between here and the service, but for `accept`.
 *
 * connect: from the dial until the far end is connected to the service (TCP's SYN, a tunnel's OPENED, a proxy's reply).
 * answer: from the payload on an open connection, or in a datagram, until the first byte of what comes back.
 * sign: from the connection's being open here until the service shows itself: its first byte, or its end after ours.
 * accept: from the dial until an entry accepts, which it does before it has reached the service.
 */
export const PING_MEASURES = ["connect", "answer", "sign", "accept"] as const;
export type PingMeasure = (typeof PING_MEASURES)[number];

/** timeout: nothing within the time of a probe. noAnswer: the connection ended in order, without what was waited for. */
export type PingLoss = ReasonName | "timeout" | "noAnswer";

/** How long it took, or why there is no figure. */
export type PingOutcome = { readonly ms: number } | { readonly lost: PingLoss };

/** What a person reads of a loss, after "lost:" or a count. */
export const LOSS_WORDS: Readonly<Record<PingLoss, string>> = {
  timeout: "no answer in time",
  noAnswer: "closed without an answer",
  reset: "connection reset",
  serviceRefused: "connection refused",
  serviceTimeout: "service does not answer",
  serviceUnreachable: "no route to the host",
  hostNotFound: "host name not found",
  exitNotAllowed: "exit not allowed",
  policy: "refused by the relay's policy",
  deviceAway: "device away",
  noForward: "no such forward",
  connectionLimit: "connection limit",
  rateLimit: "rate limit",
  sourceNotAllowed: "source not allowed",
  unhealthy: "service fails its check",
  idle: "ended for being idle",
  killed: "ended by a person",
  shutdown: "forward or program stopped",
  carrierLost: "link to the relay lost",
  protocolError: "protocol error",
  resources: "out of descriptors or memory",
  proxyHeader: "PROXY protocol header refused",
};
