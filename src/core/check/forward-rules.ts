import type { ReasonName } from "../../wire/reason.ts";
import type { ForwardEvidence, HopLine } from "./evidence.ts";
import { isAlive, isDead, type Rule, SAW_WORDS, STAND_IN_REACHED, saw, serviceLine, serviceProblem } from "./rule.ts";

type E = ForwardEvidence;

const OF_THE_SERVICE: readonly ReasonName[] = [
  "serviceRefused",
  "serviceTimeout",
  "serviceUnreachable",
  "hostNotFound",
  "unhealthy",
];
const OF_LIMITS: readonly ReasonName[] = ["connectionLimit", "rateLimit"];
const OF_THE_AGENT: readonly ReasonName[] = ["deviceAway", "carrierLost", "noForward", "exitNotAllowed", "resources"];

const says = (e: E, reasons: readonly ReasonName[]): boolean => e.refusals.some((reason) => reasons.includes(reason));
const inState = (e: E, state: string): boolean => e.forward.state === state || e.entry?.state === state;
/** It was somebody behind the relay's port that ended it: the way to the relay is open. */
const came = (e: E): boolean => e.reached === true || e.refusals.length > 0;
const refusedBecause = (e: E, why: string) =>
  e.forward.state === "refused" && e.forward.why === why ? e.forward.message : null;
const linkMessage = (e: E): string => e.linkDown?.message ?? "";

/** A port of a relay, from the visitor's side inwards. The first rule that applies decides. */
export const FORWARD_RULES: readonly Rule<E>[] = [
  {
    name: "disabled",
    when: (e) => inState(e, "disabled"),
    say: (e) => ({
      state: "closed",
      hop: "policy",
      sentence: `The forward "${e.name}" is disabled, so ${e.what} is closed.`,
      remedy: 'Enable it: take "enabled = false" out of hatchway.toml, or add the forward again.',
    }),
  },
  {
    name: "not run",
    when: (e) => e.forward.state === "not-run",
    say: (e) => ({
      state: "closed",
      hop: "agent",
      sentence: `No agent runs here to serve "${e.name}", and so ${e.what} leads nowhere.`,
      remedy: "Start `hatchway agent`.",
    }),
  },
  {
    name: "turned away",
    when: (e) => e.linkDown?.rejected === true,
    say: (e) => ({
      state: "closed",
      hop: "agent",
      sentence: `The relay does not take this agent, and so ${e.what} leads nowhere.`,
      remedy: linkMessage(e),
    }),
  },
  {
    name: "not connected, and the relay answers",
    when: (e) => e.linkDown !== null && saw(e, "open", "ended", "closed"),
    say: (e) => ({
      state: "closed",
      hop: "agent",
      sentence: `The relay's machine answers, but this agent is not connected to it: ${linkMessage(e)}`,
      remedy: "Look at the agent's log, and whether the relay's agent port can be reached from here.",
    }),
  },
  {
    name: "not connected, and the relay is silent",
    when: (e) => e.linkDown !== null,
    say: (e) => ({
      state: saw(e, "filtered") ? "filtered" : "unknown",
      hop: "relay",
      sure: saw(e, "filtered", "unreachable"),
      sentence: `The relay cannot be reached from here: ${linkMessage(e)}`,
      remedy: "See whether the relay's machine is up, and whether this machine has a way to it.",
    }),
  },
  {
    name: "port taken",
    when: (e) => refusedBecause(e, "conflict") !== null,
    say: (e) => ({
      state: "closed",
      hop: "relay",
      sentence: `The relay could not give ${e.what} to "${e.name}": ${refusedBecause(e, "conflict")}`,
      remedy: "Free the port there, or choose another one with --as.",
    }),
  },
  {
    name: "refused by the relay's rules",
    when: (e) => refusedBecause(e, "policy") !== null,
    say: (e) => ({
      state: "closed",
      hop: "policy",
      sentence: `The relay's rules keep ${e.what} from "${e.name}": ${refusedBecause(e, "policy")}`,
      remedy: null,
    }),
  },
  {
    name: "refused",
    when: (e) => refusedBecause(e, "failed") !== null,
    say: (e) => ({
      state: "closed",
      hop: "relay",
      sentence: `The relay could not open ${e.what} for "${e.name}": ${refusedBecause(e, "failed")}`,
      remedy: null,
    }),
  },
  {
    name: "no forward, and something else answers",
    when: (e) => inState(e, "none") && saw(e, "open", "ended"),
    say: (e) => ({
      state: "closed",
      hop: "relay",
      sentence: `Something answers at ${e.what}, but it is no forward ${e.side === "agent" ? "of this agent" : "of this relay"}.`,
      remedy: "Choose another port, or stop the program that has it.",
    }),
  },
  {
    name: "no forward",
    when: (e) => inState(e, "none"),
    say: (e) => ({
      state: "closed",
      hop: "relay",
      sentence: `No forward ${e.side === "agent" ? "of this agent" : "of this relay"} has ${e.what}.`,
      remedy: "Open it with `hatchway expose`, on the machine with the service.",
    }),
  },
  {
    name: "not answered yet",
    when: (e) => inState(e, "waiting"),
    say: (e) => ({
      state: "unknown",
      hop: "relay",
      sure: false,
      sentence: `The relay has not answered yet whether "${e.name}" may have ${e.what}.`,
      remedy: "Check again in a few seconds.",
    }),
  },
  {
    name: "not open on the relay",
    when: (e) => inState(e, "refused"),
    say: (e) => ({
      state: "closed",
      hop: "relay",
      sentence: `The relay keeps ${e.what} for "${e.name}", but could not open it.`,
      remedy: "See the relay's log; most often another program there has the port.",
    }),
  },
  {
    name: "agent away",
    when: (e) => inState(e, "away") || says(e, ["deviceAway"]),
    say: (e) => ({
      state: "closed",
      hop: "agent",
      sentence:
        e.side === "relay"
          ? `The agent that serves "${e.name}" is not connected, so ${e.what} leads nowhere; the port is kept for it.`
          : `The relay has not got "${e.name}" back from this agent, so ${e.what} leads nowhere.`,
      remedy: e.side === "relay" ? "Start the agent, or see why it cannot connect." : "Restart the agent.",
    }),
  },
  {
    name: "source not allowed",
    when: (e) => e.allowsVisitor === false || says(e, ["sourceNotAllowed"]),
    say: (e) => ({
      state: e.side === "relay" ? "unknown" : "closed",
      hop: "policy",
      sentence: `The forward "${e.name}" does not let ${e.visitor ?? "this source"} in; for sources that it allows this says nothing.`,
      remedy:
        "Add the address to its allow list or take it from its deny list, or check from a source that may come in.",
    }),
  },
  {
    name: "limit reached",
    when: (e) => says(e, OF_LIMITS),
    say: (e) => ({
      state: "closed",
      hop: "policy",
      sentence: `The forward "${e.name}" has as many visitors as its limits allow, so ${e.what} takes no more.`,
      remedy: "Wait, or raise its limits.",
    }),
  },
  {
    name: "dropped before the relay",
    when: (e) => saw(e, "filtered") && !came(e),
    say: (e) => ({
      state: "filtered",
      hop: "relay",
      sure: false,
      sentence: `The relay has ${e.what} open, but a connection from here does not get that far: most likely a firewall of the relay's machine or of its provider.`,
      remedy: `Allow port ${e.port}/${e.protocol} there; or this network lets nothing out to that port, which a check from another one shows.`,
    }),
  },
  {
    name: "refused before the relay",
    when: (e) => saw(e, "closed", "unreachable") && !came(e),
    say: (e) => ({
      state: e.vantage === "closed" ? "closed" : "filtered",
      hop: "relay",
      sure: false,
      sentence: `The relay has ${e.what} open, but a visitor is refused on the way: a firewall of the relay's machine, or its public name leads to another machine.`,
      remedy: `Allow port ${e.port}/${e.protocol} on the relay's machine, and see whether the name that visitors use is the relay's.`,
    }),
  },
  {
    name: "datagrams do not reach the relay",
    when: (e) => saw(e, "silent") && e.reached === false && !came(e),
    say: (e) => ({
      state: "filtered",
      hop: "relay",
      sure: false,
      sentence: `The relay has ${e.what} open, but no datagram from here came to it: most likely a firewall of the relay's machine or of its provider.`,
      remedy: `Allow port ${e.port}/udp there.`,
    }),
  },
  STAND_IN_REACHED,
  {
    name: "service down",
    when: (e) => isDead(e) || inState(e, "unhealthy") || says(e, OF_THE_SERVICE),
    say: (e) => ({
      state: "dead-service",
      hop: "service",
      sentence: `The relay takes visitors at ${e.what}, but ${serviceProblem(e)}.`,
      remedy: `Start the service behind "${e.name}", or correct where the forward leads.`,
    }),
  },
  {
    name: "turned away by the agent",
    when: (e) => says(e, OF_THE_AGENT),
    say: (e) => ({
      state: "closed",
      hop: "agent",
      sentence: `The agent that serves "${e.name}" did not take the visitor.`,
      remedy: "See the agent's log.",
    }),
  },
  {
    name: "service ends the connection",
    when: (e) => saw(e, "ended") || (saw(e, "closed") && came(e)),
    say: (e) => ({
      state: "dead-service",
      hop: "service",
      sure: e.service.saw === "ended",
      sentence: `A connection to ${e.what} comes through, and ${e.service.at} ends it at once.`,
      remedy: "See the service's log: its own list of allowed addresses, or PROXY protocol at one end only.",
    }),
  },
  {
    name: "open",
    when: (e) => saw(e, "open"),
    say: (e) => ({
      state: "open",
      hop: "none",
      sentence: `${e.what} is open, and the service behind it ${e.protocol === "udp" ? "answers" : "takes connections"}.`,
      remedy: null,
    }),
  },
  {
    name: "came through, and is not answered by design",
    when: (e) => saw(e, "silent") && e.reached === true && !e.answers,
    say: (e) => ({
      state: "open",
      hop: "none",
      sentence: `${e.what} is open: the datagram came to ${e.service.at}, where something listens that does not answer strangers.`,
      remedy: null,
    }),
  },
  {
    name: "service silent",
    when: (e) => saw(e, "silent") && e.answers && !isAlive(e),
    say: (e) => ({
      state: "dead-service",
      hop: "service",
      sure: e.service.saw !== null,
      sentence: `${e.what} is open, and something has ${e.service.at}, but it does not answer what such a service answers.`,
      remedy: "See whether the service works, and whether it is the one that --payload names.",
    }),
  },
  {
    name: "answer lost",
    when: (e) => saw(e, "silent") && isAlive(e),
    say: (e) => ({
      state: "unknown",
      hop: "relay",
      sure: false,
      sentence: `The service answers here, but no answer came back by way of ${e.what}.`,
      remedy: "Check again; if it stays so, a firewall between this network and the relay drops UDP.",
    }),
  },
  {
    name: "not seen",
    when: () => true,
    say: (e) => ({
      state: "unknown",
      hop: "none",
      sure: false,
      sentence: `Whether ${e.what} works could not be seen from here.`,
      remedy: "Check again, or from another network.",
    }),
  },
];

/** What is known of each hop, in the order of the way. */
export function forwardLines(e: E): HopLine[] {
  if (e.forward.state === "none") return [relayLine(e)];
  return [relayLine(e), policyLine(e), agentLine(e), serviceLine(e)];
}

function relayLine(e: E): HopLine {
  const hop = "relay";
  if (e.forward.state === "refused" && e.forward.why !== "policy") return { hop, mark: "bad", text: e.forward.message };
  if (inState(e, "none")) return { hop, mark: "bad", text: `has no such forward at ${e.what}` };
  if (inState(e, "refused") && e.forward.state !== "refused")
    return { hop, mark: "bad", text: `could not open ${e.what}` };
  const seen =
    e.vantage === null || e.vantage === "failed" ? "" : `; from ${e.visitor ?? "here"}: ${SAW_WORDS[e.vantage]}`;
  if (e.linkDown !== null && !e.linkDown.rejected) return { hop, mark: "unknown", text: `not connected${seen}` };
  const isShut = saw(e, "filtered", "closed", "unreachable") || (saw(e, "silent") && e.reached === false);
  if (isShut && !came(e) && e.allowsVisitor !== false)
    return { hop, mark: "bad", text: `says that ${e.what} is open, but${seen.slice(1)}` };
  if (inState(e, "waiting") || e.vantage === null) return { hop, mark: "unknown", text: `${e.what} is not seen yet` };
  return { hop, mark: saw(e, "silent") && isAlive(e) ? "unknown" : "ok", text: `has ${e.what}${seen}` };
}

function policyLine(e: E): HopLine {
  const hop = "policy";
  const refusal = refusedBecause(e, "policy");
  if (refusal !== null) return { hop, mark: "bad", text: refusal };
  if (inState(e, "disabled")) return { hop, mark: "bad", text: `"${e.name}" is disabled` };
  if (e.allowsVisitor === false || says(e, ["sourceNotAllowed"])) {
    return { hop, mark: "bad", text: `"${e.name}" does not let ${e.visitor ?? "this source"} in` };
  }
  if (says(e, OF_LIMITS)) return { hop, mark: "bad", text: `"${e.name}" is at its limit of visitors` };
  if (e.allowsVisitor === null) return { hop, mark: "unknown", text: "the forward's source lists were not asked" };
  return { hop, mark: "ok", text: `"${e.name}" is enabled and lets ${e.visitor ?? "this source"} in` };
}

function agentLine(e: E): HopLine {
  const hop = "agent";
  if (e.forward.state === "not-run") return { hop, mark: "bad", text: "does not run" };
  if (e.linkDown !== null) return { hop, mark: "bad", text: e.linkDown.message };
  if (inState(e, "away") || says(e, ["deviceAway"]))
    return { hop, mark: "bad", text: "is not connected, or does not serve it" };
  if (says(e, OF_THE_AGENT)) return { hop, mark: "bad", text: "did not take the visitor" };
  if (e.reached === true) return { hop, mark: "ok", text: "is connected, and the visitor came to it" };
  return { hop, mark: "ok", text: "is connected" };
}
