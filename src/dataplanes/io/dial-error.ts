import { errorCode } from "../../os/errors.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { sockets } from "./sockets.ts";
import { connectUdp } from "./udp-socket.ts";

/**
 * A TCP reset answers a SYN within one round trip. A refusal that comes later than the first retransmission of the
 * SYN (RFC 6298 §2.1: 1 s) is Bun's name for a neighbour or router that reported the host unreachable.
 */
const LATE_REFUSAL_MS = 1_000;

/**
 * Why a dial to `address` failed. Bun 1.4.5 reports ENETUNREACH, EHOSTUNREACH and EMFILE of connect(2) as
 * ECONNREFUSED; a connected UDP socket, which sends nothing, asks the kernel for the real reason.
 */
export function dialReason(error: unknown, address: string, port: number, elapsedMs: number): ReasonName {
  const code = errorCode(error);
  if (code !== "ECONNREFUSED" || sockets.tellsDialErrors) return reasonOfCode(code);
  if (elapsedMs >= LATE_REFUSAL_MS) return "serviceUnreachable";
  const routeError = probeRoute(address, port);
  return routeError === null ? "serviceRefused" : reasonOfCode(routeError);
}

/** The reason for the `code` of an error of connect(2) or send(2). */
export function reasonOfCode(code: string | null): ReasonName {
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
  // Port 0 cannot be connected to; the route does not depend on the port.
  const probe = connectUdp(address, port === 0 ? 1 : port, {});
  if (!probe.ok) return errorCode(probe.error);
  probe.value.close();
  return null;
}
