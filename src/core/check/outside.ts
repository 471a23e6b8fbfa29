import type { PortState, Saw } from "./evidence.ts";
import { ECHO_ID, type UdpProbe } from "./probes.ts";

/** What can be said of a port by who saw it from outside, and knows nothing of what is behind it. */
export interface OutsideVerdict {
  readonly state: Exclude<PortState, "dead-service">;
  /** One sentence. */
  readonly sentence: string;
  /** What to do, one sentence; null = nothing. */
  readonly remedy: string | null;
}

/** `what`: `203.0.113.7:25565/tcp`. `probe`: what was sent; null for TCP. `fits`: the answer was the protocol's. */
export function outsideVerdict(what: string, saw: Saw, probe: UdpProbe | null, fits: boolean | null): OutsideVerdict {
  switch (saw) {
    case "open":
    case "ended":
      return {
        state: "open",
        sentence: probe === null ? `${what} is open: it takes connections.` : openUdp(what, probe, fits),
        remedy: null,
      };
    case "closed":
      return {
        state: "closed",
        sentence: `${what} is closed: something answered, and refused.`,
        remedy: "Most often the way is open and no service listens: start it. Else the router or a firewall refuses.",
      };
    case "unreachable":
      return {
        state: "filtered",
        sentence: `${what} cannot be reached: a router on the way said so.`,
        remedy: "A firewall refuses it, or the address is away.",
      };
    case "filtered":
      return {
        state: "filtered",
        sentence: `${what} is filtered: nothing came back.`,
        remedy:
          "Forward the port in the router to the machine with the service, and allow it in that machine's firewall.",
      };
    case "silent":
      return {
        state: "unknown",
        sentence: `No answer came from ${what}: it is filtered, or what listens there does not answer ${probe === null || probe.id === ECHO_ID ? "strangers" : `as ${probe.service} does`}.`,
        remedy:
          "Choose the kind of service that listens there; or check on that machine with `hatchway check`, which knows more.",
      };
    case "failed":
      return { state: "unknown", sentence: `${what} could not be tried.`, remedy: "Check again in a minute." };
    default:
      return saw satisfies never;
  }
}

function openUdp(what: string, probe: UdpProbe, fits: boolean | null): string {
  return fits === true && probe.id !== ECHO_ID
    ? `${what} is open: ${probe.service} answers.`
    : `${what} is open: something answers${probe.id === ECHO_ID ? "" : `, though not as ${probe.service}`}.`;
}
