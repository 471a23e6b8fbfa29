import type { AddressEvidence, ForwardEvidence, ForwardFact } from "../../core/check/evidence.ts";
import { refusalsBetween } from "../../core/check/refusals.ts";
import { type Resolver, systemResolver } from "../../dataplanes/direct/resolver.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { after } from "../../os/timers.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import {
  type CheckReport,
  type CheckRequest,
  ControlError,
  type ForwardInfo,
  type GatewayControl,
  type RelayControl,
} from "../control.ts";
import { askingWith, dial, dialService } from "./dial.ts";
import { ownService, sightService } from "./own-service.ts";
import { reportOf } from "./report.ts";
import { checkSite } from "./site.ts";
import { reachableAddresses } from "./site-name.ts";

/** A relay's own port, dialled on its machine: a refusal by the agent comes within a round trip to it. */
const HOLD_MS = 1_000;
const TRIES = 3;
/** Every listener of a relay's forwards is on every address of it. */
const RELAY_ITSELF = "127.0.0.1";

/** A forward that has the port that is asked for, and the port. */
interface Found {
  readonly forward: ForwardInfo;
  readonly protocol: Protocol;
  readonly port: number;
  readonly internalHost: string | null;
  readonly internalPort: number;
}

/** The forward that is meant; null = there is none of that name, or none that has the port. */
export function findForward(forwards: readonly ForwardInfo[], target: CheckRequest["target"]): Found | null {
  if (target.kind === "name") {
    const forward = forwards.find(({ id, name }) => id === target.name || name === target.name);
    const first = forward?.endpoints[0];
    if (forward === undefined || first === undefined) return null;
    return foundAt(forward, first, first.port);
  }
  const { port, protocol } = target;
  for (const wanted of protocol === null ? (["tcp", "udp"] as const) : [protocol]) {
    for (const forward of forwards) {
      const endpoint = forward.endpoints.find(
        (one) => one.protocol === wanted && port >= one.port && port <= one.lastPort,
      );
      if (endpoint !== undefined) return foundAt(forward, endpoint, port);
    }
  }
  return null;
}

function foundAt(forward: ForwardInfo, endpoint: ForwardInfo["endpoints"][number], port: number): Found {
  const { protocol, internalHost, internalPort } = endpoint;
  return {
    forward,
    protocol,
    port,
    internalHost,
    internalPort: (internalPort ?? endpoint.port) + port - endpoint.port,
  };
}

/** A check on the relay's machine, of one of its forwards: what devices are there, and whether a visitor comes through. */
export async function checkAtRelay(
  relay: RelayControl,
  request: CheckRequest,
  signal: AbortSignal,
): Promise<CheckReport> {
  const found = findForward(await relay.listForwards(), request.target);
  const { publicHost } = await relay.status();
  if (found?.forward.site !== undefined) {
    const { id, device, site } = found.forward;
    const again = async () =>
      (await relay.listForwards()).find((one) => one.id === id && one.device === device) ?? null;
    const names = { resolver: systemResolver(), publicHost, ownAddresses: reachableAddresses(), after };
    return checkSite({ site: found.forward, tls: site.tls, again, names, side: "relay", signal });
  }
  const place = found ?? placeOf(request.target);
  const { protocol, port } = place;
  const asking = askingWith({ protocol, port, payload: request.payload, resolver: systemResolver(), signal });
  const seen = await dial(asking, RELAY_ITSELF, port, { holdMs: HOLD_MS, tries: TRIES });
  const later =
    found === null ? null : ((await relay.listForwards()).find(({ id }) => id === found.forward.id) ?? null);
  const isOpen = seen.saw === "open";
  const came = found !== null && later !== null && later.counters.visitorsTotal > found.forward.counters.visitorsTotal;
  const fact = found === null ? ({ state: "none" } as const) : factOf(later ?? found.forward);
  const turnedAway = (one: ForwardInfo | null) => ({ ...one?.counters.refused }) as Record<string, number>;
  const refusals = isOpen ? [] : refusalsBetween(turnedAway(found?.forward ?? null), turnedAway(later));
  const evidence: ForwardEvidence = {
    kind: "forward",
    side: "relay",
    name: found?.forward.name ?? "",
    protocol,
    port,
    what: `${formatHostPort(publicHost, port)}/${protocol}`,
    service: { at: serviceText(found), saw: null, loopbackOnly: false },
    vantage: seen.saw,
    answers: protocol === "tcp" || !asking.probe.silent,
    stoodIn: null,
    linkDown: null,
    forward: fact,
    entry: null,
    allowsVisitor: isOpen ? true : refusals.includes("sourceNotAllowed") ? false : came ? true : null,
    visitor: "the relay itself",
    refusals,
    reached: came || isOpen ? true : refusals.length > 0 ? null : false,
  };
  return reportOf(evidence, publicHost);
}

function serviceText(found: Found | null): string {
  return found === null ? "the service" : `port ${found.internalPort} behind "${found.forward.device ?? ""}"`;
}

/** A check without anybody outside: on a gateway, or where no agent ever joined a relay. */
export async function checkHere(
  gateway: Pick<GatewayControl, "listForwards" | "status"> | null,
  request: CheckRequest,
  unseen: string,
  signal: AbortSignal,
): Promise<CheckReport> {
  const found = gateway === null ? null : findForward(await gateway.listForwards(), request.target);
  const { protocol, port } = found ?? placeOf(request.target);
  const resolver = systemResolver();
  const asking = askingWith({ protocol, port, payload: request.payload, resolver, signal });
  const external = gateway === null ? null : (await gateway.status()).externalAddress;
  const client = request.service ?? clientOf(found);
  const service = ownService(client, port, await ownHost(request.target, resolver));
  // A gateway's client is dialled as the gateway reaches it; nothing of it is on this machine.
  const sighting =
    client === null
      ? await sightService(asking, service)
      : { at: formatHostPort(client.host, client.port), saw: await dialService(asking, client), loopbackOnly: false };
  const evidence: AddressEvidence = {
    kind: "address",
    protocol,
    port,
    what: `${external === null ? `port ${port}` : formatHostPort(external, port)}/${protocol}`,
    service: sighting,
    vantage: null,
    answers: protocol === "tcp" || !asking.probe.silent,
    stoodIn: null,
    unseen,
    arrived: null,
    behindNat: null,
    router: null,
    forward: found === null ? null : { name: found.forward.name, by: "gateway", fact: factOf(found.forward) },
  };
  return reportOf(evidence, external);
}

/** The address of this machine that a person named; null = none. */
async function ownHost(target: CheckRequest["target"], resolver: Resolver): Promise<string | null> {
  if (target.kind === "name" || target.host === null) return null;
  const { host } = target;
  const own = new Set(ownAddresses().map(({ address }) => address));
  const address = (await resolver.resolve(host)).find((one) => own.has(one));
  if (address !== undefined) return address;
  const how = "leave the host out to look from here, or join a relay, which looks from outside";
  throw new ControlError("unreachable", `Nobody can be asked about ${host}: ${how}.`);
}

/** Where a mapping leads to; null = the port is of none. */
export function clientOf(found: Found | null): HostPort | null {
  return found === null || found.internalHost === null ? null : { host: found.internalHost, port: found.internalPort };
}

function placeOf(target: CheckRequest["target"]): { readonly protocol: Protocol; readonly port: number } {
  if (target.kind === "port") return { protocol: target.protocol ?? "tcp", port: target.port };
  throw new ControlError(
    "usage",
    `There is no forward "${target.name}": "hatchway forward ls" lists them; or name a port, as in 25565 or 19132/udp.`,
  );
}

function factOf({ state, message }: ForwardInfo): ForwardFact {
  // A relay's own forward waits for a certificate, and for no answer of the relay.
  const isKept = state === "refused" || state === "waiting";
  return isKept ? { state: "refused", why: "failed", message: message ?? "" } : { state };
}
