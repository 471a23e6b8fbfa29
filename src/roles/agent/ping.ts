import { partOf, type Via } from "../../core/forward.ts";
import { formatPingVia } from "../../core/ping/target.ts";
import { monotonicMs } from "../../os/clock.ts";
import { after } from "../../os/timers.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { ControlError, type PingEvent, type PingRequest } from "../control.ts";
import { hostRoutes, isAsked, payloadOf } from "../ping/request.ts";
import { dialledRoute, type PingPlane, type PingRoute } from "../ping/routes.ts";
import { runPing } from "../ping/run.ts";
import type { Held } from "./held.ts";
import { endpointsOf, nameOf, specOf } from "./info.ts";
import type { LinkState } from "./link.ts";
import type { AgentView } from "./view.ts";

/** Measures a host, or a forward of this agent, from here (`AgentControl.ping`). */
export async function* ping(agent: AgentView, request: PingRequest, signal: AbortSignal): AsyncGenerator<PingEvent> {
  const over = AbortSignal.any([signal, agent.ended]);
  const { dials, resolver } = agent.forwards.plane;
  yield* runPing({
    routes: await routesOf(agent, { dials, resolver, nowMs: monotonicMs }, request, over),
    protocol: request.target.protocol,
    payload: payloadOf(request),
    count: request.count,
    intervalMs: request.intervalMs,
    timeoutMs: request.timeoutMs,
    clock: { nowMs: monotonicMs, after },
    random: Math.random,
    signal: over,
  });
  if (agent.ended.aborted && !signal.aborted) throw new ControlError("unreachable", "The agent was stopped.");
}

async function routesOf(
  agent: AgentView,
  plane: PingPlane,
  request: PingRequest,
  signal: AbortSignal,
): Promise<PingRoute[]> {
  const { target, via } = request;
  if (target.kind === "forward") return forwardRoutes(agent, plane, request, target, signal);
  if (via !== null && via.kind !== "socks5" && isAsked(request, "forwarded")) await linkIsUp(agent, signal);
  return hostRoutes(plane, request, target, agent.forwards.plane.session);
}

type ForwardTarget = Extract<PingRequest["target"], { kind: "forward" }>;

async function forwardRoutes(
  agent: AgentView,
  plane: PingPlane,
  request: PingRequest,
  target: ForwardTarget,
  signal: AbortSignal,
): Promise<PingRoute[]> {
  const held = agent.forwards.get(target.id);
  if (held === undefined) {
    throw new ControlError("usage", `There is no forward "${target.id}": "hatchway forward ls" lists them.`);
  }
  // Its entry is opened by the relay: it may have been asked for a moment ago.
  if (held.kind === "remote") await linkIsUp(agent, signal);
  const { service, entry } = endsOf(held, target);
  const spec = specOf(held);
  const via = spec.kind === "local" ? tunnelVia(spec.local.via) : null;
  if (via !== null) {
    if (isAsked(request, "forwarded")) await linkIsUp(agent, signal);
    return hostRoutes(plane, { only: request.only, via }, service, agent.forwards.plane.session);
  }
  const part = partOf(spec);
  const proxyProtocol = "options" in part ? part.options.proxyProtocol : null;
  const routes: PingRoute[] = [];
  if (isAsked(request, "direct")) {
    routes.push(await dialledRoute(plane, service, { path: "direct", isEntry: false, proxyProtocol }));
  }
  if (isAsked(request, "forwarded")) {
    routes.push(await dialledRoute(plane, entry, { path: "forwarded", isEntry: true, proxyProtocol: null }));
  }
  return routes;
}

/** Null: the exit is this machine. */
function tunnelVia(via: Via): Exclude<Via, { kind: "here" }> | null {
  return via.kind === "here" ? null : via;
}

/** What an entry on every address of this machine is reached by. */
const LOOPBACK: Readonly<Record<string, string>> = { "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1" };

/** The service and the entry of a forward, at one of the entry's ports. */
function endsOf(
  held: Held,
  { port, protocol }: ForwardTarget,
): { readonly service: HostPort; readonly entry: HostPort } {
  const name = nameOf(specOf(held));
  const endpoint = endpointsOf(held).find(
    (one) => one.protocol === protocol && one.port <= port && port <= one.lastPort,
  );
  if (endpoint === undefined) {
    const message = `"${name}" has no open port ${port}/${protocol}: "hatchway forward ls" shows its ports, and why one is not open.`;
    throw new ControlError("failed", message);
  }
  const { host, internalHost, internalPort } = endpoint;
  const entry = { host: LOOPBACK[host] ?? host, port };
  if (internalHost === null || internalPort === null) {
    const proxy = formatPingVia({ kind: "socks5", proxy: entry });
    throw new ControlError("usage", `"${name}" is a proxy and leads nowhere by itself: ping HOST:PORT --via ${proxy}.`);
  }
  return { service: { host: internalHost, port: internalPort + (port - endpoint.port) }, entry };
}

/** Resolves when the link is up; it may be on its way. Rejects when it is down, or the relay rejects this device. */
async function linkIsUp(agent: AgentView, signal: AbortSignal): Promise<void> {
  const settled = Promise.withResolvers<LinkState | null>();
  const look = (state: LinkState) => {
    if (state.kind !== "connecting") settled.resolve(state);
  };
  const onAbort = () => settled.resolve(null);
  const stop = agent.watchLink(look);
  signal.addEventListener("abort", onAbort, { once: true });
  look(agent.link());
  if (signal.aborted) onAbort();
  const state = await settled.promise;
  stop();
  signal.removeEventListener("abort", onAbort);
  if (state?.kind === "down") {
    throw new ControlError("unreachable", `The relay could not be reached: ${state.message}.`);
  }
  if (state?.kind === "rejected") throw new ControlError("refused", state.message);
  if (state?.kind === "none") throw new ControlError("usage", "This agent runs without a relay: name another --via.");
}
