import type { ForwardFact } from "../../core/check/evidence.ts";
import { partOf, type RemoteForwardSpec, type UpstreamSpec } from "../../core/forward.ts";
import { isIpv6 } from "../../wire/address.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { UpstreamTarget } from "../check/means.ts";
import { type CheckRequest, ControlError, type ForwardSpec } from "../control.ts";
import { canonical } from "./ask-relay.ts";
import type { Held } from "./held.ts";
import { endpointsOf, nameOf, specOf } from "./info.ts";
import type { AgentView } from "./view.ts";

/** What is checked: a forward whose entry is on the relay, or a port of this machine's own address. */
export type Subject =
  | {
      readonly kind: "remote";
      readonly spec: RemoteForwardSpec;
      /** Null: it is listed, and nobody here runs it. */
      readonly held: (Held & { readonly kind: "remote" }) | null;
      readonly port: number;
      readonly protocol: Protocol;
    }
  /** The relay's own name, and no forward of this agent has the port. */
  | { readonly kind: "nobodys"; readonly port: number; readonly protocol: Protocol }
  | {
      readonly kind: "own";
      readonly host: string | null;
      readonly port: number;
      readonly protocol: Protocol;
      readonly forward: { readonly name: string; readonly by: "agent" | "router"; readonly fact: ForwardFact } | null;
      /** What the router was asked for; null = nothing. */
      readonly upstream: UpstreamTarget | null;
    };

/** What a person means. Rejects with ControlError `usage` when there is no such forward. */
export async function subjectOf(agent: AgentView, target: CheckRequest["target"]): Promise<Subject> {
  const known = knownForwards(agent);
  if (target.kind === "name") {
    const { name } = target;
    const found = known.find(({ spec }) => partOf(spec).id === name || nameOf(spec) === name);
    if (found !== undefined) return subjectFor(found, null);
    throw new ControlError(
      "usage",
      `There is no forward "${name}": "hatchway forward ls" lists them; or name a port, as in 25565 or 19132/udp.`,
    );
  }
  const { host, port } = target;
  const isOfRelay = host !== null && (await isRelay(agent, host));
  const holds = (protocol: Protocol, wanted: "remote" | "local") =>
    known.find(
      ({ spec, ports }) =>
        (spec.kind === "remote") === (wanted === "remote") &&
        ports.some((one) => has(one, protocol, port) && (wanted === "remote" || host === null || one.host === host)),
    );
  const protocols: readonly Protocol[] = target.protocol === null ? ["tcp", "udp"] : [target.protocol];
  for (const wanted of ["remote", "local"] as const) {
    if (wanted === "remote" ? host !== null && !isOfRelay : isOfRelay) continue;
    for (const protocol of protocols) {
      const found = holds(protocol, wanted);
      if (found !== undefined) return subjectFor(found, { protocol, host, port });
    }
  }
  const protocol = target.protocol ?? "tcp";
  return isOfRelay
    ? { kind: "nobodys", port, protocol }
    : { kind: "own", host, port, protocol, forward: null, upstream: null };
}

interface PortRange {
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
  /** What visitors type; null = that is not known yet. */
  readonly host: string | null;
  /** Null = the visitor names where it leads to. */
  readonly internalFirst: number | null;
}

interface Known {
  readonly spec: ForwardSpec;
  /** Null: listed, and not run here. */
  readonly held: Held | null;
  /** As they are open, or else as they are wanted. */
  readonly ports: readonly PortRange[];
}

/** What this agent runs, and what it would run if it were not only here for a command. */
function knownForwards(agent: AgentView): Known[] {
  const run = [...agent.forwards.list()].map(([, held]): Known => {
    const spec = specOf(held);
    const open = endpointsOf(held).map(({ protocol, host, port, lastPort, internalPort }) => ({
      protocol,
      host,
      first: port,
      last: lastPort,
      internalFirst: internalPort,
    }));
    return { spec, held, ports: open.length > 0 ? open : portsOf(spec) };
  });
  if (agent.runListed) return run;
  const ids = new Set(run.map(({ spec }) => partOf(spec).id));
  const listed = [...agent.settings().forwards, ...agent.state.forwards()].filter((spec) => !ids.has(partOf(spec).id));
  return [...run, ...listed.map((spec): Known => ({ spec, held: null, ports: portsOf(spec) }))];
}

/** `named`: what a person named of it. */
function subjectFor(
  { spec, held, ports }: Known,
  named: { readonly protocol: Protocol; readonly host: string | null; readonly port: number } | null,
): Subject {
  const first = ports[0];
  const place = { protocol: named?.protocol ?? first?.protocol ?? "tcp", port: named?.port ?? first?.first ?? 0 };
  if (place.port === 0) {
    throw new ControlError("unreachable", `"${nameOf(spec)}" has no port yet: the relay has not given it one.`);
  }
  if (spec.kind === "remote") return { kind: "remote", spec, held: held?.kind === "remote" ? held : null, ...place };
  const fact: ForwardFact = held === null ? { state: "not-run" } : localFact(held);
  const upstream = spec.kind === "upstream" ? upstreamTarget(spec.upstream, held, ports, place) : null;
  const by = spec.kind === "upstream" ? "router" : "agent";
  return { kind: "own", host: named?.host ?? null, ...place, forward: { name: nameOf(spec), by, fact }, upstream };
}

function upstreamTarget(
  { to, gateway, families }: UpstreamSpec,
  held: Held | null,
  ports: readonly PortRange[],
  { protocol, port }: { readonly protocol: Protocol; readonly port: number },
): UpstreamTarget {
  const range = ports.find((one) => has(one, protocol, port));
  const inside = range === undefined ? port : (range.internalFirst ?? range.first) + port - range.first;
  const open = held === null ? [] : endpointsOf(held);
  const isListed = open.length === 0 ? families !== "ipv6" : open.some(({ host }) => !isIpv6(host));
  return { host: to, port: inside, router: gateway, isListed };
}

function localFact(held: Held): ForwardFact {
  if (held.kind === "remote") return { state: "waiting" };
  if (held.kind === "upstream") return upstreamFact(held);
  if (!held.spec.enabled) return { state: "disabled" };
  if (held.error === null) return { state: "open" };
  return { state: "refused", why: held.error.kind === "inUse" ? "conflict" : "failed", message: held.error.message };
}

/** Of a port of the router: that the router has it no more, the router itself is asked. */
function upstreamFact({ spec, forward }: Held & { readonly kind: "upstream" }): ForwardFact {
  if (!spec.enabled || forward === null) return { state: "disabled" };
  const { state } = forward;
  if (state.kind !== "refused") return { state: state.kind === "open" ? "open" : "waiting" };
  return {
    state: "refused",
    why: state.why === "conflict" || state.why === "policy" ? state.why : "failed",
    message: state.message,
  };
}

/** Whether a person means the relay by it: its public name, the name it was joined by, or an address of them. */
async function isRelay(agent: AgentView, host: string): Promise<boolean> {
  const link = agent.link();
  const names = [agent.relay()?.host ?? "", ...(link.kind === "up" ? [link.welcome.publicHost] : [])];
  if (names.some((name) => name.toLowerCase() === host.toLowerCase())) return true;
  if (link.kind !== "up") return false;
  const address = canonical(link.session.remoteAddress);
  return (await agent.checkMeans.resolver.resolve(host)).includes(address);
}

function portsOf(spec: ForwardSpec): Known["ports"] {
  return partOf(spec).ports.map((range) => ({ ...range, host: null }));
}

function has(range: PortRange, protocol: Protocol, port: number): boolean {
  return range.protocol === protocol && port >= range.first && port <= range.last;
}
