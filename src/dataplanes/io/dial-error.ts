import type { ReasonName } from "../../wire/reason.ts";

/**
 * A TCP reset answers a SYN within one round trip. A refusal that comes later than the first retransmission of the
 * SYN (RFC 6298 §2.1: 1 s) is Bun's name for a neighbour or router that reported the host unreachable.
 */
const LATE_REFUSAL_MS = 1_000;

/** The `code` of an operating system error (`ECONNREFUSED`), or null for anything else. */
export function errorCode(error: unknown): string | null {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : null;
}

/**
 * Why a dial to `address` failed. Bun 1.4.5 reports ENETUNREACH, EHOSTUNREACH and EMFILE of connect(2) as
 * ECONNREFUSED; a connected UDP socket, which sends nothing, asks the kernel for the real reason.
 */
export function dialReason(error: unknown, address: string, port: number, elapsedMs: number): ReasonName {
  const code = errorCode(error);
  if (code !== "ECONNREFUSED") return reasonOfCode(code);
  if (elapsedMs >= LATE_REFUSAL_MS) return "serviceUnreachable";
  const routeError = probeRoute(address, port);
  return routeError === null ? "serviceRefused" : reasonOfCode(routeError);
}

function reasonOfCode(code: string | null): ReasonName {
  switch (code) {
    case "ECONNREFUSED":
    case "ECONNRESET":
      return "serviceRefused";
    case "ETIMEDOUT":
      return "serviceTimeout";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENETDOWN":
    case "EHOSTDOWN":
    // What Linux answers for prohibit, blackhole and malformed routes (ip-route(8)).
    case "EACCES":
    case "EPERM":
    case "EINVAL":
    case "EAFNOSUPPORT":
      return "serviceUnreachable";
    case "ENOTFOUND":
      return "hostNotFound";
    default:
      return "resources";
  }
}

function probeRoute(address: string, port: number): string | null {
  const probe = Bun.udpSocket({ connect: { hostname: address, port: port === 0 ? 1 : port }, socket: {} });
  // Bun binds and connects at once for an IP literal: the promise is settled when it is returned.
  const settled = Bun.peek(probe);
  if (settled === probe) {
    probe.then(
      (socket) => socket.close(),
      () => undefined,
    );
    return null;
  }
  if (settled instanceof Error) {
    probe.catch(() => undefined);
    return errorCode(settled);
  }
  (settled as unknown as Bun.udp.ConnectedSocket<"buffer">).close();
  return null;
}
