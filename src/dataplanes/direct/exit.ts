import type { ProxyProtocolVersion } from "../../core/forward.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { mappingContains, type PortMapping, type Protocol } from "../../wire/port-set.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "../io/ends.ts";
import { type EnlargeBuffers, udpBuffers } from "../io/udp-buffers.ts";
import type { Dials } from "./dial.ts";
import { proxyDatagramPrefix, proxyStreamHeader } from "./proxy-header.ts";
import type { Resolver } from "./resolver.ts";
import { DirectFlow } from "./udp-flow.ts";

/** Where a visit goes; null = the forward has no such port. */
export type Target = (visit: Visit, protocol: Protocol) => HostPort | null;

/** What this exit may dial (core/exit-policy.ts): asked for the name before it is resolved, then for each address. */
export interface Allows {
  name(host: string, port: number, protocol: Protocol): boolean;
  /** `address` is an IP literal, what `host` resolved to. */
  address(host: string, address: string, port: number, protocol: Protocol): boolean;
}

/** For forwards whose destination this machine's own person wrote down. */
export const ALLOWS_ALL: Allows = { name: () => true, address: () => true };
export const ALLOWS_NONE: Allows = { name: () => false, address: () => false };

export interface DirectExitOptions {
  readonly target: Target;
  readonly allows: Allows;
  readonly resolver: Resolver;
  readonly dials: Dials;
  /** Asked for each visit, so that it may change while the forward is open. */
  readonly proxyProtocol: () => ProxyProtocolVersion | null;
}

/**
 * Leaves from this process. A name is resolved once for a visit, every address is checked, and the connection goes to
 * an address that was checked: a second look-up could answer differently (DNS rebinding).
 */
export function directExit(options: DirectExitOptions): Exit {
  const enlarge = udpBuffers();
  return {
    connect: (visit) => connect(options, visit),
    openFlow: (visit) => openFlow(options, visit, enlarge),
  };
}

/** The usual target: `visit.destination` for a dynamic forward, else `host` at the internal port. */
export function mappedTarget(host: string, ports: readonly PortMapping[]): Target {
  return (visit, protocol) => {
    if (visit.destination !== undefined) return visit.destination;
    const port = mappingContains(ports, protocol, visit.externalPort);
    return port === null ? null : { host, port };
  };
}

interface Route {
  readonly addresses: readonly string[];
  readonly port: number;
}

function connect(options: DirectExitOptions, visit: Visit): ByteEnd {
  const dial = options.dials.begin();
  const version = options.proxyProtocol();
  if (version !== null) dial.end.write(proxyStreamHeader(version, visit));
  if (options.dials.sweeper.descriptors.scarce) {
    dial.refuse("resources");
    return dial.end;
  }
  withRoute(options, visit, "tcp", (route) => {
    if (typeof route === "string") dial.refuse(route);
    else dial.start(route.addresses, route.port);
  });
  return dial.end;
}

function openFlow(options: DirectExitOptions, visit: Visit, enlarge: EnlargeBuffers): FlowEnd {
  const { sweeper } = options.dials;
  const flow = new DirectFlow(options.proxyProtocol() === null ? null : proxyDatagramPrefix(visit), enlarge, sweeper);
  if (sweeper.descriptors.scarce) {
    flow.refuse("resources");
    return flow;
  }
  withRoute(options, visit, "udp", (route) => {
    const address = typeof route === "string" ? undefined : route.addresses[0];
    if (typeof route === "string" || address === undefined)
      flow.refuse(typeof route === "string" ? route : "hostNotFound");
    else flow.connect(address, route.port);
  });
  return flow;
}

/** Calls `use` with the allowed addresses, or with why there is none: in this call when the host is known already. */
function withRoute(
  options: DirectExitOptions,
  visit: Visit,
  protocol: Protocol,
  use: (route: Route | ReasonName) => void,
): void {
  const target = options.target(visit, protocol);
  if (target === null) {
    use("noForward");
    return;
  }
  if (!options.allows.name(target.host, target.port, protocol)) {
    use("exitNotAllowed");
    return;
  }
  const known = options.resolver.known(target.host);
  if (known !== null) use(routeTo(options.allows, target, protocol, known));
  else {
    void options.resolver
      .resolve(target.host)
      .then((addresses) => use(routeTo(options.allows, target, protocol, addresses)));
  }
}

function routeTo(
  allows: Allows,
  target: HostPort,
  protocol: Protocol,
  addresses: readonly string[],
): Route | ReasonName {
  if (addresses.length === 0) return "hostNotFound";
  const allowed = addresses.filter((address) => allows.address(target.host, address, target.port, protocol));
  return allowed.length === 0 ? "exitNotAllowed" : { addresses: allowed, port: target.port };
}
