import type { ReasonName } from "../../wire/reason.ts";

/** RFC 4254 §5.1 */
export const OpenFailure = { prohibited: 1, connectFailed: 2, unknownType: 3, shortage: 4 } as const;

/** What a client is told of a channel that it did not get: OpenSSH prints the text. */
export function openFailureOf(reason: ReasonName): { readonly code: number; readonly text: string } {
  switch (reason) {
    case "exitNotAllowed":
    case "policy":
      return { code: OpenFailure.prohibited, text: "this destination is not allowed" };
    case "deviceAway":
      return { code: OpenFailure.connectFailed, text: "no such device is connected" };
    case "hostNotFound":
      return { code: OpenFailure.connectFailed, text: "the host's name is not found" };
    case "serviceRefused":
      return { code: OpenFailure.connectFailed, text: "connection refused" };
    case "serviceTimeout":
      return { code: OpenFailure.connectFailed, text: "connection timed out" };
    case "serviceUnreachable":
      return { code: OpenFailure.connectFailed, text: "no route to the host" };
    case "connectionLimit":
    case "rateLimit":
    case "resources":
      return { code: OpenFailure.shortage, text: "too many connections" };
    default:
      return { code: OpenFailure.connectFailed, text: "the connection could not be made" };
  }
}

/** Why a channel that was opened towards a client is none. */
export function reasonOfFailure(code: number): ReasonName {
  switch (code) {
    case OpenFailure.prohibited:
      return "noForward";
    case OpenFailure.shortage:
      return "resources";
    // What OpenSSH says when the service refused it.
    default:
      return "serviceRefused";
  }
}
