import type { DownCause, LinkState } from "../roles/agent/link.ts";
import type { EntryError } from "../roles/embedded/agent.ts";
import type { ReasonName } from "../wire/reason.ts";
import { HatchwayError } from "./error.ts";
import type { RelayFailureKind } from "./hatchway.d.ts";

type Refusal = "policy" | "conflict" | "failed";

/** Why there is no connection to the relay; null = there is, or nothing is known yet. */
export function linkFailure(state: LinkState, relay: string): HatchwayError | null {
  switch (state.kind) {
    case "up":
    case "connecting":
    case "none":
      return null;
    case "down":
      return downError(state.cause, state.message.replace(/\.$/, ""), relay);
    case "rejected":
      return new HatchwayError("denied", state.message);
    default:
      return state satisfies never;
  }
}

function downError(cause: DownCause | undefined, why: string, relay: string): HatchwayError {
  switch (cause) {
    case "untrusted":
      return new HatchwayError("untrusted", `The relay at ${relay} is not trusted: ${why}.`);
    case "broke":
      return new HatchwayError(
        "lost",
        `The connection to the relay at ${relay} was lost (${why}): it is made again as soon as the relay answers.`,
      );
    case "taken":
      return new HatchwayError(
        "lost",
        `Another program connected to the relay at ${relay} with this device's key: enrol each program, so that it has one of its own.`,
      );
    case undefined: {
      const what = why.startsWith(`${relay} `) ? why : `${relay} cannot be reached: ${why}`;
      return new HatchwayError("unreachable", `The relay at ${what}; see that it runs, and give relay if it moved.`);
    }
    default:
      return cause satisfies never;
  }
}

const REFUSALS = { policy: "refused", conflict: "conflict", failed: "refused" } as const satisfies Record<
  Refusal,
  RelayFailureKind
>;

/** What the relay answered instead of opening the ports. */
export function refusalError(why: Refusal, message: string): HatchwayError {
  return new HatchwayError(REFUSALS[why], message);
}

/** Why a port of this machine could not be opened. */
export function listenError({ kind, message }: EntryError): HatchwayError {
  switch (kind) {
    case "inUse":
      return new HatchwayError("conflict", message);
    case "notPermitted":
      return new HatchwayError("refused", message);
    case "resources":
      return new HatchwayError("exhausted", message);
    case "noAddress":
    case "other":
      return new HatchwayError("usage", message);
    default:
      return kind satisfies never;
  }
}

/** Why a connection did not come about, or ended otherwise than in order. `other`: who is at its other end. */
export function connectionError(reason: ReasonName, other: string): HatchwayError {
  const [kind, message] = REASONS[reason];
  const sentence = message.replace("%", other);
  return new HatchwayError(kind, sentence.charAt(0).toUpperCase() + sentence.slice(1));
}

const ENDED = "The connection with % was ended";
const REASONS: Readonly<Record<ReasonName, readonly [RelayFailureKind, string]>> = {
  reset: ["reset", "% cut the connection."],
  serviceRefused: ["closed", "% refuses the connection: see that its service runs, and on this port."],
  serviceTimeout: ["silent", "% did not answer in time: see that the host is up and no firewall drops the connection."],
  serviceUnreachable: ["unreachable", "There is no route to %: see that the network of its host is up."],
  hostNotFound: ["not-found", "The name in % does not resolve where the connection leaves: check its spelling."],
  exitNotAllowed: ["refused", '% is not allowed there: add it to "allow" where the connection leaves.'],
  policy: ["refused", "The relay's rules do not let this device connect to %: ask its operator."],
  deviceAway: [
    "away",
    "The device that leads to % is not connected: start its agent, or check the name behind agent:.",
  ],
  noForward: ["closed", "Nothing leads to % any more."],
  connectionLimit: ["exhausted", "% has as many connections as it may have: close some, or try again later."],
  rateLimit: ["exhausted", "Connections to % are opened faster than its limit: try again in a moment."],
  sourceNotAllowed: ["refused", "% takes no connections from here."],
  proxyHeader: [
    "refused",
    "What came from % did not begin with the PROXY header that the relay asks of its load balancers.",
  ],
  unhealthy: ["closed", "The service behind % failed its health check."],
  idle: ["ended", `${ENDED}: nothing moved for its idle time.`],
  killed: ["ended", `${ENDED} by a person or a program.`],
  shutdown: ["ended", `${ENDED}, because one side is shutting down.`],
  carrierLost: ["lost", "The connection to the relay, and so to %, was lost: try again once it is up."],
  protocolError: ["garbled", "What came from % makes no sense: update the relay and this package to the same version."],
  resources: ["exhausted", "There is no room for the connection with %: close some, or raise the limit of open files."],
};
