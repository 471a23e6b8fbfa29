/**
 * Why a stream or flow was refused or cut. One list for the tunnel's REFUSED and RESET frames, the counters in
 * `status` and the sentences people read. Codes are part of the tunnel protocol: append, never renumber.
 */
export const Reason = {
  /** The other side reset the connection (TCP RST). */
  reset: 1,
  /** The service answered the dial with a reset: nothing listens there. */
  serviceRefused: 2,
  /** The service did not answer the dial in time. */
  serviceTimeout: 3,
  /** No route to the service's host. */
  serviceUnreachable: 4,
  /** The service's host name does not resolve. */
  hostNotFound: 5,
  /** The exit's own allow-list refuses this destination (SSRF defence, tunnel.md "Trust"). */
  exitNotAllowed: 6,
  /** The relay's policy refuses this destination or device. */
  policy: 7,
  /** The device that should serve this is not connected. */
  deviceAway: 8,
  /** No forward answers to this handle or port. */
  noForward: 9,
  /** The forward's or the source's connection limit is reached. */
  connectionLimit: 10,
  /** The source opens connections faster than its limit. */
  rateLimit: 11,
  /** The source is not allowed, or is denied. */
  sourceNotAllowed: 12,
  /** The service failed its health check. */
  unhealthy: 13,
  /** Nothing moved for the idle timeout. */
  idle: 14,
  /** A person or an API call ended it. */
  killed: 15,
  /** The program is shutting down, or the forward was removed. */
  shutdown: 16,
  /** The carrier or session that carried it was lost. */
  carrierLost: 17,
  /** The peer broke the tunnel protocol. */
  protocolError: 18,
  /** This process is out of descriptors, ports or memory budget. */
  resources: 19,
  /** A PROXY protocol header was wrong or missing, or came from a source that is not listed for it. */
  proxyHeader: 20,
} as const;

export type ReasonName = keyof typeof Reason;

const NAMES = new Map<number, ReasonName>(Object.entries(Reason).map(([name, code]) => [code, name as ReasonName]));

/** The name of a code from the wire; a code from a newer peer reads as `reset`. */
export function reasonName(code: number): ReasonName {
  return NAMES.get(code) ?? "reset";
}
