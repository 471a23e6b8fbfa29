import type { AddressEvidence, Saw, ServiceSighting } from "../../core/check/evidence.ts";
import { ECHO_ID, udpProbe } from "../../core/check/probes.ts";
import { wantedAllowanceBytes } from "../../core/check/service-rules.ts";
import type { PacketWatch } from "../../os/packet-watch.ts";
import { isIpv6 } from "../../wire/address.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import type { Asking } from "../check/dial.ts";
import { ownService, sightService } from "../check/own-service.ts";
import { openStandIn } from "../check/stand-in.ts";
import { ControlError } from "../control.ts";
import { askRelay, type CheckOutcome, canonical } from "./ask-relay.ts";
import type { Subject } from "./check-subject.ts";
import type { AgentView } from "./view.ts";

type OwnSubject = Extract<Subject, { kind: "own" }>;
/** What a message of the wire takes. */
const MOST_NAMED = 16;

/** A port of this machine's public address, which the relay looks at from outside. */
export async function checkOwnAddress(
  agent: AgentView,
  subject: OwnSubject,
  given: HostPort | null,
  asked: Asking,
): Promise<{ readonly evidence: AddressEvidence; readonly host: string | null }> {
  const { protocol, port, host, forward, upstream } = subject;
  const link = agent.link();
  // Where the relay's machine is behind a NAT of its own, its packets come from another address than it knows.
  const relayAddress = link.kind === "up" ? canonical(link.session.remoteAddress) : undefined;
  const localAddress = link.kind === "up" ? canonical(link.session.localAddress) : null;
  const leadsTo = upstream === null ? null : { host: upstream.host ?? "localhost", port: upstream.port };
  const service = ownService(given ?? leadsTo, port, localAddress);
  const sighting = await sightService(asked, service);
  const isFree = service.isHere && sighting.saw === "closed" && !sighting.loopbackOnly;
  const { nonce } = asked;
  const standIn = isFree ? openStandIn({ protocol, bind: "*", port: service.port, nonce }) : null;
  const asking = standIn === null ? asked : { ...asked, probe: udpProbe(ECHO_ID) ?? asked.probe };
  const watch = service.isHere ? agent.checkMeans.watchPackets(protocol, service.port) : null;
  try {
    const isShutHere = forward?.fact.state === "refused" || forward?.fact.state === "disabled";
    const outside = isShutHere ? NOT_ASKED : await lookFromOutside(agent, subject, asking);
    const seen = outside.kind === "seen" ? outside.outcome : null;
    const vantage: Saw | null = seen?.probe?.saw ?? null;
    const arrived = seen === null || watch === null ? null : hasArrived(watch, [seen.probe?.from, relayAddress]);
    // It takes seconds, and has nothing to say of a port that is open; but a mapping may lead to another machine now.
    const isSettled = vantage === "open" && (upstream === null || arrived !== false);
    const publicAddress = seen?.address ?? null;
    const wanted = upstream?.isListed === true && !isIpv6(publicAddress ?? "") ? upstream : null;
    const router = isSettled ? null : await agent.checkMeans.routerEvidence(port, protocol, wanted, asking.signal);
    const evidence: AddressEvidence = {
      kind: "address",
      protocol,
      port,
      what: `${publicAddress === null ? `port ${port}` : formatHostPort(publicAddress, port)}/${protocol}`,
      service: sighting satisfies ServiceSighting,
      vantage,
      answers: protocol === "tcp" || !asking.probe.silent,
      stoodIn: standIn === null ? null : standIn.reached,
      unseen: outside.kind === "seen" ? null : outside.why,
      arrived,
      behindNat: publicAddress === null ? null : publicAddress !== localAddress,
      router,
      forward,
    };
    return { evidence, host: publicAddress ?? host };
  } finally {
    watch?.close();
    standIn?.close();
  }
}

type Outside =
  | { readonly kind: "seen"; readonly outcome: CheckOutcome }
  | { readonly kind: "unseen"; readonly why: string };

const NOT_ASKED: Outside = { kind: "unseen", why: "it is not open here." };

/** Rejects with ControlError `refused` when the relay does not look at that. */
async function lookFromOutside(agent: AgentView, subject: OwnSubject, asking: Asking): Promise<Outside> {
  const { protocol, port, host } = subject;
  const addresses = host === null ? [] : await asking.resolver.resolve(host);
  if (host !== null && addresses.length === 0) {
    throw new ControlError("usage", `"${host}" does not resolve to an address: correct it, or leave the host out.`);
  }
  const { probe, nonce } = asking;
  const payloadBytes = protocol === "udp" ? probe.payload(nonce).length : 0;
  const outcome = await askRelay(
    agent,
    {
      kind: "own",
      addresses: addresses.slice(0, MOST_NAMED),
      protocol,
      port,
      probe: protocol === "udp" ? probe.id : null,
      nonce: Buffer.from(nonce).toString("base64url"),
    },
    wantedAllowanceBytes(protocol, payloadBytes),
  );
  if (typeof outcome === "string") return { kind: "unseen", why: outcome };
  if (outcome.kind === "check") return { kind: "seen", outcome };
  throw new ControlError(outcome.why === "policy" ? "refused" : "failed", outcome.message);
}

/** A router may put its own address in place of the visitor's: then what came cannot be told from others'. */
function hasArrived(
  watch: Pick<PacketWatch, "sources" | "missed">,
  from: readonly (string | null | undefined)[],
): boolean | null {
  const sources = watch.sources();
  if (from.some((address) => address != null && sources.has(address))) return true;
  return sources.size > 0 || watch.missed ? null : false;
}
