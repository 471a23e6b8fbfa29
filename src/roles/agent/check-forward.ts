import type { ForwardEvidence, ForwardFact, Saw, ServiceSighting } from "../../core/check/evidence.ts";
import { ECHO_ID, udpProbe } from "../../core/check/probes.ts";
import { refusalsBetween } from "../../core/check/refusals.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { classifyAddress, parseAddress } from "../../wire/address.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import { type Asking, dial, dialService, pickAddress } from "../check/dial.ts";
import { openStandIn, type StandIn } from "../check/stand-in.ts";
import { askRelay, type CheckOutcome, canonical, linkMessage } from "./ask-relay.ts";
import type { Subject } from "./check-subject.ts";
import { countersOfAll } from "./counters.ts";
import type { AgentView } from "./view.ts";

type RemoteSubject = Extract<Subject, { kind: "remote" | "nobodys" }>;

/** A connection that is refused behind the relay is ended within a round trip; this comes on top. */
const HOLD_MS = 600;
const VISITOR_TRIES = 3;

/** A port of the relay, as its visitor: from here by the network, as everybody else comes. */
export async function checkRemoteForward(
  agent: AgentView,
  subject: RemoteSubject,
  asked: Asking,
): Promise<{ readonly evidence: ForwardEvidence; readonly host: string }> {
  const { protocol, port } = subject;
  const link = agent.link();
  const host = publicHost(agent, subject);
  const what = `${formatHostPort(host, port)}/${protocol}`;
  const linkWhy = linkMessage(link);
  // What keeps visitors away may be over since it was asked last.
  if (subject.kind === "remote" && subject.held !== null) {
    await countersOfAll(agent, [[subject.spec.remote.id, subject.held]]);
  }
  const fact = factOf(subject);
  const service = serviceOf(subject);
  const base = {
    kind: "forward",
    side: "agent",
    name: subject.kind === "remote" ? subject.spec.remote.name : "",
    protocol,
    port,
    what,
    linkDown: linkWhy === null ? null : { message: linkWhy, rejected: link.kind === "rejected" },
    forward: fact,
  } as const;
  const serviceSaw = service === null ? null : await dialService(asked, service);
  const standIn = service !== null && serviceSaw === "closed" ? standInFor(asked, service) : null;
  // Our own stand-in answers our own datagram, and no other.
  const asking = standIn === null ? asked : { ...asked, probe: udpProbe(ECHO_ID) ?? asked.probe };
  try {
    const before = await entryOf(agent, subject);
    const visitsBefore = visitsOf(subject);
    const isHopeless = fact.state === "disabled" || fact.state === "refused" || fact.state === "not-run";
    const seen = isHopeless ? null : await visit(agent, host, port, asking);
    const after = seen === null ? before : await entryOf(agent, subject);
    const cameHere = visitsOf(subject) > visitsBefore;
    const isOpen = seen === "open";
    const reached =
      cameHere || isOpen ? true : after === null || before === null ? null : after.visitors > before.visitors;
    // Another member of the group may have taken the visitor: then this one's service says nothing.
    const isOthers = isOpen && !cameHere && subject.kind === "remote" && subject.spec.remote.group !== null;
    const sighting: ServiceSighting = {
      at: service === null ? "the service" : formatHostPort(service.host, service.port),
      saw: isOthers ? null : serviceSaw,
      loopbackOnly: false,
    };
    const evidence: ForwardEvidence = {
      ...base,
      service: sighting,
      vantage: seen,
      answers: protocol === "tcp" || !asking.probe.silent,
      stoodIn: standIn === null ? null : standIn.reached,
      entry: subject.kind === "nobodys" ? { state: "none" } : entryFact(after),
      // Who came in was let in, whatever the address was.
      allowsVisitor: isOpen || cameHere ? true : (after?.allowsAsker ?? null),
      visitor: after?.address ?? null,
      refusals: isOpen || before === null || after === null ? [] : refusalsBetween(before.refused, after.refused),
      reached,
    };
    return { evidence, host };
  } finally {
    standIn?.close();
  }
}

function publicHost(agent: AgentView, subject: RemoteSubject): string {
  const link = agent.link();
  if (subject.kind === "remote" && subject.held !== null) {
    const { answer } = subject.held.forward;
    const endpoint = answer.kind === "open" ? answer.endpoints[0] : undefined;
    if (endpoint !== undefined) return endpoint.host;
  }
  return link.kind === "up" ? link.welcome.publicHost : (agent.relay()?.host ?? "the relay");
}

function factOf(subject: RemoteSubject): ForwardFact {
  if (subject.kind === "nobodys") return { state: "none" };
  if (!subject.spec.remote.enabled) return { state: "disabled" };
  if (subject.held === null) return { state: "not-run" };
  const { answer, trouble } = subject.held.forward;
  switch (answer.kind) {
    case "waiting":
      return { state: "waiting" };
    case "open":
      return trouble === null ? { state: "open" } : { state: "refused", why: "failed", message: trouble.message };
    case "refused":
      return { state: "refused", why: answer.why, message: answer.message };
    default:
      return answer satisfies never;
  }
}

/** Where the forward leads for this port. */
function serviceOf(subject: RemoteSubject): HostPort | null {
  if (subject.kind === "nobodys") return null;
  const { spec, held, port, protocol } = subject;
  const open = held?.forward.answer.kind === "open" ? held.forward.answer.endpoints : [];
  const runs = [
    ...open.map((one) => ({ ...one, first: one.port, last: one.lastPort, internalFirst: one.internalPort })),
    ...spec.remote.ports,
  ];
  const run = runs.find((one) => one.protocol === protocol && port >= one.first && port <= one.last);
  return run === undefined ? null : { host: spec.to, port: run.internalFirst + port - run.first };
}

/** Only where the forward leads to this machine: then nothing has the port, and it can be had. */
function standInFor({ protocol, nonce }: Asking, { host, port }: HostPort): StandIn | null {
  const bind = host === "localhost" ? "127.0.0.1" : host;
  const parsed = parseAddress(bind);
  if (!parsed.ok) return null;
  const isHere =
    classifyAddress(parsed.value) === "loopback" || ownAddresses().some(({ address }) => address === parsed.value);
  return isHere ? openStandIn({ protocol, bind: parsed.value, port, nonce }) : null;
}

async function visit(agent: AgentView, host: string, port: number, asking: Asking): Promise<Saw> {
  const link = agent.link();
  const session = link.kind === "up" ? link.session : null;
  const preferred = session === null ? null : canonical(session.remoteAddress);
  const address = pickAddress(await asking.resolver.resolve(host), preferred);
  if (address === null) return "failed";
  const holdMs = HOLD_MS + 2 * (session?.measuredRttMs ?? 0);
  return (await dial(asking, address, port, { holdMs, tries: VISITOR_TRIES })).saw;
}

type EntryAnswer = NonNullable<CheckOutcome["entry"]> & { readonly address: string };

/** Null: the relay cannot be asked. */
async function entryOf(agent: AgentView, subject: RemoteSubject): Promise<EntryAnswer | null> {
  if (subject.kind === "nobodys") return null;
  const { protocol, port, spec } = subject;
  const outcome = await askRelay(agent, { kind: "forward", id: spec.remote.id, protocol, port }, 0);
  if (typeof outcome === "string" || outcome.kind !== "check" || outcome.entry === null) return null;
  return { ...outcome.entry, address: outcome.address };
}

function entryFact(entry: EntryAnswer | null): ForwardFact | null {
  if (entry === null) return null;
  const { state } = entry;
  return state === "refused" ? { state, why: "failed", message: "" } : { state };
}

/** Visitors that came to this agent by the forward, whatever became of them. */
function visitsOf(subject: RemoteSubject): number {
  return subject.kind === "remote" ? (subject.held?.forward.visits.counters.visitorsTotal ?? 0) : 0;
}
