import type { RouterFailure } from "../../core/router/model.ts";
import { errorCode, messageOf } from "../../os/errors.ts";

/** The system's error about a socket to the router, as one sentence. */
export function socketFailure(error: unknown, router: string): RouterFailure {
  switch (errorCode(error)) {
    case "ECONNREFUSED":
      return {
        kind: "closed",
        code: null,
        message: `Nothing listens for UPnP at ${router} any more; look whether UPnP is on in the router's settings.`,
      };
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENETDOWN":
    case "EHOSTDOWN":
    case "EADDRNOTAVAIL":
      return {
        kind: "silent",
        code: null,
        message: `The router at ${router} cannot be reached; look whether this machine is still on its network.`,
      };
    case "ETIMEDOUT":
      return noAnswer(router);
    case "ECONNRESET":
    case "EPIPE":
      return garbled(`The router at ${router} ended the connection before it answered; restart it if this goes on.`);
    case "EPERM":
    case "EACCES":
      return {
        kind: "silent",
        code: null,
        message: `This machine's firewall does not let UPnP out to ${router}; allow it, or forward the port on the router's page.`,
      };
    default:
      return { kind: "silent", code: null, message: `The router at ${router} cannot be asked: ${messageOf(error)}.` };
  }
}

export function noAnswer(router: string): RouterFailure {
  return { kind: "silent", code: null, message: `The router at ${router} did not answer in time; try again.` };
}

export function garbled(message: string): RouterFailure {
  return { kind: "garbled", code: null, message };
}

export function calledOff(router: string): RouterFailure {
  return { kind: "silent", code: null, message: `Asking the router at ${router} was called off.` };
}
