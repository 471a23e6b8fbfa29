import type { Saw } from "../check/evidence.ts";
import { isOlder } from "./machine.ts";
import { capital, failure, fine, type Judgement, sentenceOf, skipped, splitAdvice, warning } from "./model.ts";

/** What the data directory remembers of a relay. */
export type Membership =
  | { readonly kind: "none" }
  | { readonly kind: "joined"; readonly relay: string; readonly deviceName: string }
  /** It is there and cannot be used: one sentence that says what to do. */
  | { readonly kind: "unreadable"; readonly message: string };

export interface JoinedFacts {
  readonly membership: Membership;
  /** Forwards that need a running agent, in hatchway.toml and added to last; and those of them that need a relay. */
  readonly listed: number;
  readonly needRelay: number;
  readonly agentRuns: boolean;
  /** A relay or a gateway runs, or was set up, on this machine. */
  readonly isServer: boolean;
}

export const FIRST_STEPS = [
  "behind NAT:         hatchway agent --join CODE",
  "public machine:     hatchway serve --public NAME",
  "own router:         hatchway map PORT",
  "just to see it:     hatchway demo",
].join("\n");

export function judgeJoined(facts: JoinedFacts): Judgement {
  const { membership, listed, agentRuns } = facts;
  switch (membership.kind) {
    case "unreadable": {
      const { sentence, remedy } = splitAdvice(membership.message);
      return failure(sentence, remedy ?? "Run this command as the agent's own user, or as root.");
    }
    case "none":
      return judgeAlone(facts);
    case "joined": {
      const joined = `This machine joined ${membership.relay} as "${membership.deviceName}"`;
      if (agentRuns) return fine(`${joined}.`);
      if (listed === 0) return fine(`${joined}. No agent runs, and no forward is listed that needs one.`);
      return failure(
        `${joined}, and ${areText(listed)} listed, but no agent runs.`,
        "Start it: `hatchway agent`, or its service.",
      );
    }
    default:
      return membership satisfies never;
  }
}

/** Of a machine that joined no relay. */
function judgeAlone({ listed, needRelay, agentRuns, isServer }: JoinedFacts): Judgement {
  if (agentRuns) return skipped("The agent here has joined no relay.");
  if (needRelay > 0) {
    return failure(
      `${capital(areText(needRelay))} listed, and this machine has joined no relay to open ${needRelay === 1 ? "it" : "them"} at.`,
      "On the relay's machine: `hatchway join-code create --name NAME`; then here: `hatchway agent --join CODE`.",
    );
  }
  if (listed > 0) {
    return failure(
      `${capital(areText(listed))} listed, but no agent runs.`,
      "Start it: `hatchway agent --no-relay`, or its service.",
    );
  }
  if (isServer) return skipped("No agent of this machine has joined a relay.");
  return fine("Nothing is set up here yet. What to do first:", FIRST_STEPS);
}

function areText(forwards: number): string {
  return forwards === 1 ? "1 forward is" : `${forwards} forwards are`;
}

/** `addresses`: what the name resolves to. */
export function judgeName(host: string, addresses: readonly string[]): Judgement {
  if (addresses.length === 0) {
    return failure(
      `The relay's name ${host} does not resolve.`,
      "See whether this machine's DNS works and the name is right; a relay that moved is named by `relay` in [agent].",
    );
  }
  if (addresses[0] === host) return fine(`The relay is known by its address, ${host}.`);
  return fine(`${host} is ${addresses.slice(0, 3).join(", ")}${addresses.length > 3 ? " and others" : ""}.`);
}

export interface ConnectionFacts {
  readonly relay: string;
  /** Null = there was no address to dial. */
  readonly saw: Saw | null;
  readonly elapsedMs: number;
}

export function judgeConnection({ relay, saw, elapsedMs }: ConnectionFacts): Judgement {
  switch (saw) {
    case "open":
    case "ended":
      return fine(`${relay} takes connections, after ${Math.max(1, Math.round(elapsedMs))} ms.`);
    case "closed":
      return failure(
        `${relay} refuses connections: its machine is there, and no relay listens at that port.`,
        "See `hatchway status` on the relay's machine, and that this is its port.",
      );
    case "filtered":
      return failure(
        `${relay} does not answer: its machine is off, or a firewall drops what this one sends.`,
        "Let that TCP port in on the relay's machine and at its provider, and out of this network.",
      );
    case "silent":
    case "unreachable":
      return failure(
        `There is no way from here to ${relay}.`,
        "See whether this machine's network and its router work.",
      );
    case "failed":
      return failure(`${relay} could not be dialled.`, "See whether this machine has a network at all.");
    case null:
      return skipped("There is no address of the relay to dial.");
    default:
      return saw satisfies never;
  }
}

/** What a TLS handshake with the relay showed; nothing was said in it. */
export type CertificateSight =
  | { readonly kind: "trusted"; readonly notAfterMs: number }
  | { readonly kind: "untrusted"; readonly message: string }
  /** It did not come to a certificate. */
  | { readonly kind: "broken"; readonly message: string };

const DAY_MS = 86_400_000;

export function judgeCertificate(sight: CertificateSight, trust: "pinned" | "public-ca"): Judgement {
  switch (sight.kind) {
    case "trusted":
      return fine(
        trust === "pinned"
          ? "The relay's key is the one that the join code named."
          : "The relay's certificate is valid for its name.",
      );
    case "untrusted": {
      const sentence = sentenceOf(capital(sight.message));
      if (/not now$/.test(sight.message)) {
        return failure(
          sentence,
          "Set this machine's clock if it is wrong; else start the relay again, which renews it.",
        );
      }
      return failure(
        sentence,
        trust === "pinned"
          ? "If the relay was set up anew, join again with a new code. If not, do not: something answers in its place."
          : "Ask the relay's operator to renew it, or name its CA by `ca` in [agent].",
      );
    }
    case "broken":
      return failure(
        sentenceOf(capital(sight.message)),
        "See that this is a Hatchway relay's agent port, and no proxy in between.",
      );
    default:
      return sight satisfies never;
  }
}

/** Whole days until a certificate ends; negative = it has. */
export function daysUntil(atMs: number, nowMs: number): number {
  return Math.floor((atMs - nowMs) / DAY_MS);
}

export interface LinkFacts {
  readonly link: "up" | "connecting" | "down" | "none";
  readonly message: string | null;
  readonly rttMs: number | null;
  readonly carriers: number;
}

export function judgeLink({ link, message, rttMs, carriers }: LinkFacts): Judgement {
  switch (link) {
    case "up": {
      const rtt = rttMs === null ? "" : `, ${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms there and back`;
      return fine(`The agent is connected by ${carriers} carriers${rtt}.`);
    }
    case "connecting":
      return warning("The agent is still connecting to its relay.", "Ask again in a few seconds.");
    case "down":
      return failure(
        `The agent has no link to its relay: ${sentenceOf(message ?? "it does not say why")}`,
        "It tries again by itself; what the other checks of this section say is the likely cause.",
      );
    case "none":
      return skipped("The agent here runs without a relay.");
    default:
      return link satisfies never;
  }
}

export function judgeVersions(own: string, relay: string | null): Judgement {
  if (relay === null) return skipped("The relay does not tell its version.");
  if (own === relay) return fine(`The relay is of the same version, ${own}.`);
  const sentence = `The relay is version ${relay}, and this program ${own}.`;
  const older = isOlder(relay, own) ? "the relay" : "this machine's program";
  return minorOf(own) !== minorOf(relay)
    ? warning(sentence, `Update ${older}: what is new in the one is missing in the other.`)
    : fine(sentence, null);
}

function minorOf(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
