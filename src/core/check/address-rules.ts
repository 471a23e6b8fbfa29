import type { AddressEvidence, HopLine } from "./evidence.ts";
import { isAlive, isDead, type Rule, SAW_WORDS, STAND_IN_REACHED, saw, serviceLine, serviceProblem } from "./rule.ts";

type E = AddressEvidence;

/** Somebody outside looked, and did not get in. */
const isShut = (e: E): boolean => saw(e, "closed", "filtered", "silent", "unreachable");
/** What is refused by somebody is closed; what vanishes is filtered. */
const shutAs = (e: E) => (e.vantage === "closed" ? "closed" : "filtered");
const isRefusedHere = (e: E) => (e.forward?.fact.state === "refused" ? e.forward.fact : null);
const forwardName = (e: E): string => e.forward?.name ?? "";
/** Its silence means nothing: it may be there and work. */
const isQuiet = (e: E): boolean => e.service.saw === "silent" && !e.answers;
/** It should have answered this end, and did not. */
const isMute = (e: E): boolean => e.service.saw === "silent" && e.answers;
const isNobodyHere = (e: E): boolean => isDead(e) && e.service.saw === "closed";
/** Somebody let the outside in, and it was seen that nothing came to this machine. */
const wentElsewhere = (e: E): boolean => saw(e, "open", "ended") && e.stoodIn !== true && e.arrived === false;
const where = (e: E): string => (e.behindNat === false ? "your provider" : "your router");

/** A port of this machine's own public address, from outside inwards. The first rule that applies decides. */
export const ADDRESS_RULES: readonly Rule<E>[] = [
  {
    name: "disabled",
    when: (e) => e.forward?.fact.state === "disabled",
    say: (e) => ({
      state: "closed",
      hop: "policy",
      sentence: `The forward "${forwardName(e)}" is disabled, so ${e.what} is closed.`,
      remedy: 'Enable it: take "enabled = false" out of hatchway.toml, or add the forward again.',
    }),
  },
  {
    name: "port taken here",
    when: (e) => isRefusedHere(e) !== null,
    say: (e) => ({
      state: "closed",
      hop: isRefusedHere(e)?.why === "policy" ? "policy" : e.forward?.by === "agent" ? "agent" : "router",
      sentence: `The forward "${forwardName(e)}" could not be opened: ${isRefusedHere(e)?.message}`,
      remedy: null,
    }),
  },
  {
    name: "not run",
    when: (e) => e.forward?.fact.state === "not-run" && isShut(e) && e.arrived !== true,
    say: (e) => ({
      state: shutAs(e),
      hop: "agent",
      sentence: `No agent runs here to ${e.forward?.by === "router" ? `keep "${forwardName(e)}" on the router` : `serve "${forwardName(e)}"`}, so ${e.what} leads nowhere.`,
      remedy: "Start `hatchway agent`.",
    }),
  },
  {
    name: "router forgot, another has it",
    when: (e) => wentElsewhere(e) && e.router?.holds === false,
    say: (e) => ({
      state: "closed",
      hop: "router",
      sentence: `Your router no longer has the mapping for ${e.what} to ${e.service.at}: another machine answers there, or the router itself.`,
      remedy: "See with `hatchway router` where it leads; then end that, or map another port.",
    }),
  },
  {
    name: "open, most likely elsewhere",
    when: (e) => wentElsewhere(e) && !isNobodyHere(e),
    say: (e) => ({
      state: "open",
      hop: "router",
      sure: false,
      sentence: `${e.what} is open, but nothing of that came to this machine: most likely it leads to another one.`,
      remedy: "See in the router's port forwarding where it leads.",
    }),
  },
  {
    name: "open",
    when: (e) => saw(e, "open", "ended") && e.stoodIn !== true && !isNobodyHere(e),
    say: (e) => ({
      state: "open",
      hop: "none",
      sentence: `${e.what} is open: the service ${e.protocol === "udp" ? "answers" : "takes connections"} from outside.`,
      remedy: null,
    }),
  },
  STAND_IN_REACHED,
  {
    name: "open, elsewhere",
    when: (e) => saw(e, "open", "ended"),
    say: (e) => ({
      state: "open",
      hop: "router",
      sentence: `${e.what} is open, but it does not lead here, where nothing listens at ${e.service.at}: another machine answers, or the router itself.`,
      remedy: "See in the router's port forwarding where it leads.",
    }),
  },
  {
    name: "loopback only",
    when: (e) => e.service.loopbackOnly,
    say: (e) => ({
      state: isShut(e) ? shutAs(e) : "closed",
      hop: "service",
      sentence: `The service listens on a loopback address only, and not at ${e.service.at}, where visitors come to.`,
      remedy: "Have it listen on 0.0.0.0 or on that address; or use `hatchway expose`, which reaches it where it is.",
    }),
  },
  {
    name: "nobody looked, nothing listens",
    when: (e) => e.unseen !== null && isDead(e),
    say: (e) => ({
      state: "closed",
      hop: "service",
      sentence: `As seen from here, ${serviceProblem(e)}.`,
      remedy: "Start the service, and check again.",
    }),
  },
  {
    name: "nobody looked, the service is silent",
    when: (e) => e.unseen !== null && isMute(e),
    say: (e) => ({
      state: "dead-service",
      hop: "service",
      sentence: `As seen from here, something has ${e.service.at}, but it does not answer what such a service answers.`,
      remedy: "See whether the service works, and whether it is the one that --payload names.",
    }),
  },
  {
    name: "nobody looked",
    when: (e) => e.unseen !== null,
    say: (e) => ({
      state: "unknown",
      hop: "none",
      sure: false,
      sentence: `${isAlive(e) ? `The service answers here at ${e.service.at}` : "Nothing here speaks against it"}, but nobody outside looked: ${e.unseen}`,
      remedy: "Check from an agent with a relay, or on the page of a relay that has one.",
    }),
  },
  {
    name: "carrier-grade NAT",
    when: (e) => isShut(e) && e.arrived !== true && e.router?.nat === "cgnat",
    say: (e) => ({
      state: shutAs(e),
      hop: "isp",
      sentence: `Your provider shares the address of ${e.what} among customers (CGNAT), so no forward of your router can work.`,
      remedy: "Use `hatchway expose` through a relay, or ask the provider for an address of your own.",
    }),
  },
  {
    name: "blocked by the provider",
    when: (e) => isShut(e) && e.arrived !== true && (e.router?.nat === "blocked" || e.router?.nat === "ipv6-only"),
    say: (e) => ({
      state: shutAs(e),
      hop: "isp",
      sentence: `Your provider lets nothing in to ${e.what}.`,
      remedy: "Use `hatchway expose` through a relay.",
    }),
  },
  {
    name: "double NAT",
    when: (e) => isShut(e) && e.arrived !== true && e.router?.nat === "double-nat",
    say: (e) => ({
      state: shutAs(e),
      hop: "router",
      sentence: `There is a second router between yours and the internet, and ${e.what} ends there.`,
      remedy: "Forward the port on both, or put one of them in bridge mode; or use `hatchway expose` through a relay.",
    }),
  },
  {
    name: "router forgot",
    when: (e) => isShut(e) && e.arrived !== true && e.router?.holds === false,
    say: (e) => ({
      state: shutAs(e),
      hop: "router",
      sentence: `Your router no longer has the mapping for ${e.what}.`,
      remedy: "Map the port again; if the router forgets it again, forward it in the router's own pages.",
    }),
  },
  {
    name: "service silent",
    when: (e) => saw(e, "silent") && isMute(e) && e.arrived !== false,
    say: (e) => ({
      state: "dead-service",
      hop: "service",
      sentence: `Something has ${e.service.at}, but it does not answer what such a service answers, neither from outside nor from here.`,
      remedy: "See whether the service works, and whether it is the one that --payload names.",
    }),
  },
  {
    name: "came, and is not answered by design",
    when: (e) => saw(e, "silent") && isQuiet(e) && e.arrived === true,
    say: (e) => ({
      state: "open",
      hop: "none",
      sure: false,
      sentence: `${e.what} is open as far as can be seen: the datagram came to this machine, and something listens there that does not answer strangers.`,
      remedy: null,
    }),
  },
  {
    name: "service down",
    when: (e) => saw(e, "closed") && e.service.saw === "closed" && e.arrived === true,
    say: (e) => ({
      state: "dead-service",
      hop: "service",
      sentence: `The way to this machine is open, but ${serviceProblem(e)}.`,
      remedy: "Start the service.",
    }),
  },
  {
    name: "firewall here, seen",
    when: (e) => isShut(e) && e.arrived === true,
    say: (e) => ({
      state: shutAs(e),
      hop: "host-firewall",
      sentence: `The packet came to this machine, and this machine's firewall ${e.vantage === "closed" ? "refuses" : "drops"} it.`,
      remedy: `Allow port ${e.port}/${e.protocol} in this machine's firewall (nft, ufw, firewalld).`,
    }),
  },
  {
    name: "never came, with a router that has the mapping",
    when: (e) => isShut(e) && e.arrived === false && e.behindNat !== false && e.router?.holds === true,
    say: (e) => ({
      state: shutAs(e),
      hop: "isp",
      sure: false,
      sentence: `The router has the mapping for ${e.what}, but no packet came to this machine: most likely your provider blocks that port, else the router's own firewall.`,
      remedy: "Try another port; or use `hatchway expose` through a relay.",
    }),
  },
  {
    name: "never came, with a router",
    when: (e) => isShut(e) && e.arrived === false && e.behindNat !== false,
    say: (e) => ({
      state: shutAs(e),
      hop: "router",
      sentence: `No packet for ${e.what} came to this machine: your router has no forward of that port to it.`,
      remedy: "Forward the port in the router to this machine; or use `hatchway expose` through a relay.",
    }),
  },
  {
    name: "never came, without a router",
    when: (e) => isShut(e) && e.arrived === false,
    say: (e) => ({
      state: shutAs(e),
      hop: "isp",
      sentence: `No packet for ${e.what} came to this machine, which has that address itself: your provider's firewall is before it.`,
      remedy: "Allow the port in the provider's firewall or security group.",
    }),
  },
  {
    name: "refused, and nothing listens",
    when: (e) => saw(e, "closed") && e.service.saw === "closed" && e.stoodIn === null,
    say: (e) => ({
      state: "closed",
      hop: "service",
      sure: false,
      sentence: `${e.what} is refused, and ${serviceProblem(e)}.`,
      remedy: "Start the service, and check again.",
    }),
  },
  {
    name: "refused before it came here",
    when: (e) => saw(e, "closed") && e.stoodIn === false,
    say: (e) => ({
      state: "closed",
      hop: e.behindNat === false ? "host-firewall" : "router",
      sure: false,
      sentence: `${e.what} is refused before anything comes to ${e.service.at}: most likely by ${e.behindNat === false ? "this machine's firewall" : "your router, which has no forward of that port here"}.`,
      remedy: `Allow or forward port ${e.port}/${e.protocol} there; run the agent as root to see which of them it is.`,
    }),
  },
  {
    name: "not answered by design, and not seen to come",
    when: (e) => saw(e, "silent") && isQuiet(e),
    say: (e) => ({
      state: "unknown",
      hop: "none",
      sure: false,
      sentence: `Something listens at ${e.service.at} and does not answer strangers, so whether the datagram came could not be seen.`,
      remedy: "Run the agent as root (or with CAP_NET_RAW), which sees packets come, and check again.",
    }),
  },
  {
    name: "firewall here, most likely",
    when: (e) => isShut(e) && (e.behindNat === false || e.router?.holds === true),
    say: (e) => ({
      state: shutAs(e),
      hop: "host-firewall",
      sure: false,
      sentence: `A packet for ${e.what} is not let in: most likely by this machine's firewall, else by your provider.`,
      remedy: `Allow port ${e.port}/${e.protocol} in this machine's firewall; run the agent as root to see which of them it is.`,
    }),
  },
  {
    name: "router, most likely",
    when: (e) => isShut(e),
    say: (e) => ({
      state: shutAs(e),
      hop: "router",
      sure: false,
      sentence: `A packet for ${e.what} is not let in: most likely your router has no forward of that port, else this machine's firewall or your provider is in the way.`,
      remedy: "Forward the port in the router to this machine; run the agent as root to see which of them it is.",
    }),
  },
  {
    name: "could not look",
    when: () => true,
    say: (e) => ({
      state: "unknown",
      hop: "none",
      sure: false,
      sentence: `Whether ${e.what} works could not be seen: the relay could not try it.`,
      remedy: "Check again in a minute.",
    }),
  },
];

/** What is known of each hop, in the order of the way. */
export function addressLines(e: E): HopLine[] {
  const lines = [outsideLine(e), policyLine(e), firewallLine(e), serviceLine(e)];
  return lines.filter((line) => line !== null);
}

/** The provider and the router: what nobody here can tell apart without asking the router. */
function outsideLine(e: E): HopLine {
  const hop = e.behindNat === false || e.router?.nat === "cgnat" || e.router?.nat === "blocked" ? "isp" : "router";
  const seen = e.vantage === null ? "nobody outside looked" : `from outside: ${SAW_WORDS[e.vantage]}`;
  if (isRefusedHere(e) !== null && e.forward?.by !== "agent") {
    return { hop: "router", mark: "bad", text: isRefusedHere(e)?.message ?? "" };
  }
  if (wentElsewhere(e) && hop === "router")
    return {
      hop,
      mark: e.router?.holds === false ? "bad" : "unknown",
      text: `${seen}, and nothing came to this machine`,
    };
  if (saw(e, "open", "ended") || e.arrived === true || e.stoodIn === true)
    return { hop, mark: "ok", text: `${where(e)} lets it in; ${seen}` };
  if (e.router?.nat === "cgnat") return { hop, mark: "bad", text: "carrier-grade NAT: the address is shared" };
  if (e.router?.holds === false) return { hop: "router", mark: "bad", text: "has no such mapping any more" };
  if (e.arrived === false) return { hop, mark: "bad", text: `${seen}, and no packet came to this machine` };
  const mapped = e.router?.holds === true ? "has the mapping; " : "";
  return { hop, mark: "unknown", text: `${mapped}${seen}` };
}

function policyLine(e: E): HopLine | null {
  if (e.forward === null) return null;
  const { name, by, fact } = e.forward;
  if (fact.state === "disabled") return { hop: "policy", mark: "bad", text: `"${name}" is disabled` };
  if (fact.state === "not-run") return { hop: "agent", mark: "bad", text: `no agent runs here for "${name}"` };
  if (fact.state === "waiting")
    return { hop: "policy", mark: "unknown", text: `"${name}" is asked for, and not open yet` };
  if (fact.state !== "refused") return { hop: "policy", mark: "ok", text: `"${name}" has the port` };
  if (fact.why === "policy") return { hop: "policy", mark: "bad", text: fact.message };
  return by !== "agent" ? null : { hop: "agent", mark: "bad", text: fact.message };
}

function firewallLine(e: E): HopLine {
  const hop = "host-firewall";
  if (wentElsewhere(e)) return { hop, mark: "unknown", text: "nothing came that it could let in" };
  if (saw(e, "open", "ended") || e.stoodIn === true) return { hop, mark: "ok", text: "lets it in" };
  if (e.arrived === true && saw(e, "silent") && e.service.saw === "silent") {
    return { hop, mark: "unknown", text: "the packet came to this machine" };
  }
  if (e.arrived === true && saw(e, "closed") && e.service.saw === "closed")
    return { hop, mark: "ok", text: "the packet came to this machine" };
  if (e.arrived === true) return { hop, mark: "bad", text: "the packet came to this machine, and no further" };
  if (e.arrived === false) return { hop, mark: "unknown", text: "nothing came that it could let in" };
  const why =
    e.unseen === null ? "whether packets come to this machine is seen by root only" : "nothing was sent to it";
  return { hop, mark: "unknown", text: why };
}
