import type { ProxyProtocolVersion } from "../../core/forward.ts";
import type { PingPath } from "../../core/ping/model.ts";
import { formatPingVia, type PingVia } from "../../core/ping/target.ts";
import type { Dials } from "../../dataplanes/direct/dial.ts";
import { ALLOWS_ALL, directExit } from "../../dataplanes/direct/exit.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import { SocksEnd, SocksFlow } from "../../dataplanes/direct/socks-client.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "../../dataplanes/io/ends.ts";
import { refusedFlow } from "../../dataplanes/io/refused.ts";
import { tunnelExit } from "../../dataplanes/tunnel/exit.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { ControlError } from "../control.ts";

/** A connection that is opening, and since when what is measured has been under way. */
export interface Opening {
  readonly end: ByteEnd;
  sinceMs(): number;
}

export interface OpeningFlow {
  readonly flow: FlowEnd;
  sinceMs(): number;
}

/** One way to the target, to be taken once for every probe. */
export interface PingRoute {
  readonly path: PingPath;
  /** `here`, `relay`, `agent:NAME`, `socks5://…` or `entry`. */
  readonly via: string;
  /** `host:port`. */
  readonly to: string;
  /** A forward's entry: it accepts before it has reached the service. */
  readonly isEntry: boolean;
  connect(): Opening;
  openFlow(): OpeningFlow;
  /** What the command fails with when this is why the first probe was lost; null = it is a loss like others. */
  hopeless(reason: ReasonName): ControlError | null;
}

/** What dials from this process. */
export interface PingPlane {
  readonly dials: Dials;
  readonly resolver: Resolver;
  /** Monotonic. */
  nowMs(): number;
}

/** Whoever hears of a probe as a visitor: this machine, no port. */
const HERE = { address: "127.0.0.1", port: 0 };

function visitTo(destination: HostPort): Visit {
  return { visitor: HERE, entry: { ...HERE, port: destination.port }, externalPort: destination.port, destination };
}

/** A resolver whose answer for one host is given once: a name is not looked up again in the middle of a measurement. */
export async function pinned(resolver: Resolver, host: string): Promise<Resolver> {
  const addresses = await resolver.resolve(host);
  return { known: () => addresses, resolve: () => Promise.resolve(addresses) };
}

function exitRoute(
  plane: PingPlane,
  exit: Exit,
  destination: HostPort,
  about: Pick<PingRoute, "path" | "via" | "isEntry" | "hopeless">,
): PingRoute {
  const visit = visitTo(destination);
  const since = () => {
    const startedMs = plane.nowMs();
    return () => startedMs;
  };
  return {
    ...about,
    to: formatHostPort(destination.host, destination.port),
    connect: () => {
      const sinceMs = since();
      return { end: exit.connect(visit), sinceMs };
    },
    openFlow: () => {
      const sinceMs = since();
      return { flow: exit.openFlow(visit), sinceMs };
    },
  };
}

export interface DialledRouteOptions {
  readonly path: PingPath;
  readonly isEntry: boolean;
  /** Of the forward, which the service expects; null = none. */
  readonly proxyProtocol: ProxyProtocolVersion | null;
}

/** Straight from this process to `to`: a service, or a forward's entry. */
export async function dialledRoute(
  plane: PingPlane,
  to: HostPort,
  { path, isEntry, proxyProtocol }: DialledRouteOptions,
): Promise<PingRoute> {
  const exit = directExit({
    target: (visit) => visit.destination ?? null,
    // The person at this machine wrote it down.
    allows: ALLOWS_ALL,
    resolver: await pinned(plane.resolver, to.host),
    dials: plane.dials,
    proxyProtocol: () => proxyProtocol,
  });
  return exitRoute(plane, exit, to, { path, via: isEntry ? "entry" : "here", isEntry, hopeless: () => null });
}

/** To the relay, or another agent, which dials. The session is asked for anew by every probe: the link may break. */
export function tunnelRoute(
  plane: PingPlane,
  via: Exclude<PingVia, { kind: "socks5" }>,
  to: HostPort,
  session: () => Session | null,
): PingRoute {
  const device = via.kind === "agent" ? via.device : "";
  const exit = tunnelExit(({ visitor, entry }) => {
    const present = session();
    if (present === null) return "carrierLost";
    return { link: present, request: { kind: "dial", device, ...to, visitor, entry }, onGone: null };
  });
  return exitRoute(plane, exit, to, {
    path: "forwarded",
    via: formatPingVia(via),
    isEntry: false,
    hopeless: (reason) => tunnelFailure(via, to, reason),
  });
}

function tunnelFailure(
  via: Exclude<PingVia, { kind: "socks5" }>,
  { host, port }: HostPort,
  reason: ReasonName,
): ControlError | null {
  const to = formatHostPort(host, port);
  const who = via.kind === "relay" ? "The relay" : `The agent "${via.device}"`;
  switch (reason) {
    case "exitNotAllowed": {
      const table = via.kind === "relay" ? "[relay]" : "[agent]";
      const message = `${who} lets nobody out to ${to}: add "${to}" to allow under ${table} in its hatchway.toml.`;
      return new ControlError("refused", message);
    }
    case "policy": {
      const message = `${who} cannot be asked to connect to ${to}: name another agent than this one with --via.`;
      return new ControlError("refused", message);
    }
    case "deviceAway": {
      const message = `${who} is not connected: start it, or name another way with --via.`;
      return new ControlError("unreachable", message);
    }
    case "carrierLost": {
      const message = "The link to the relay broke: see `hatchway status`, and run the command again.";
      return new ControlError("unreachable", message);
    }
    default:
      return null;
  }
}

/** Through a SOCKS5 proxy. What is measured begins when it is asked: the way to it is open by then. */
export async function socksRoute(plane: PingPlane, proxy: HostPort, to: HostPort): Promise<PingRoute> {
  const resolver = await pinned(plane.resolver, proxy.host);
  const toProxy = directExit({
    target: () => proxy,
    allows: ALLOWS_ALL,
    resolver,
    dials: plane.dials,
    proxyProtocol: () => null,
  });
  const via = formatPingVia({ kind: "socks5", proxy });
  const visit = visitTo(proxy);
  return {
    path: "forwarded",
    via,
    to: formatHostPort(to.host, to.port),
    isEntry: false,
    connect: () => {
      const end = new SocksEnd(toProxy.connect(visit), to, plane.nowMs);
      return { end, sinceMs: () => end.askedMs ?? plane.nowMs() };
    },
    openFlow: () => {
      const [proxyAddress] = resolver.known(proxy.host) ?? [];
      if (proxyAddress === undefined) return { flow: refusedFlow("hostNotFound"), sinceMs: plane.nowMs };
      const options = { sweeper: plane.dials.sweeper, nowMs: plane.nowMs, proxyAddress };
      const flow = new SocksFlow(toProxy.connect(visit), to, options);
      return { flow, sinceMs: () => flow.askedMs ?? plane.nowMs() };
    },
    hopeless: (reason) => {
      if (reason === "policy") {
        return new ControlError("refused", `The proxy ${via} asks for a name and a password: name one that does not.`);
      }
      if (reason !== "exitNotAllowed") return null;
      const message = `The proxy ${via} does not let you out to ${formatHostPort(to.host, to.port)}: allow it there.`;
      return new ControlError("refused", message);
    },
  };
}
