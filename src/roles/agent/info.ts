import { partOf } from "../../core/forward.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { AttachEvent, Counters, Endpoint, ForwardInfo, ForwardSpec, ForwardState } from "../control.ts";
import { siteInfo } from "../site-info.ts";
import { noteText, type UpstreamState } from "../upstream/forward.ts";
import { countersOf, NO_COUNTERS } from "../views.ts";
import type { Held } from "./held.ts";

export function nameOf(spec: ForwardSpec): string {
  return partOf(spec).name;
}

export function typeOf(spec: ForwardSpec): (AttachEvent & { event: "exposed" })["type"] {
  return spec.kind === "local" ? spec.local.type : spec.kind;
}

/** `here`, `relay`, `agent:NAME` or `router`: where the other end is, seen from this agent. */
export function viaOf(spec: ForwardSpec): string {
  if (spec.kind === "remote") return "relay";
  if (spec.kind === "upstream") return "router";
  const { via } = spec.local;
  return via.kind === "agent" ? `agent:${via.device}` : via.kind;
}

export function specOf(held: Held): ForwardSpec {
  switch (held.kind) {
    case "remote":
      return { kind: "remote", remote: held.forward.spec, to: held.forward.setting.to };
    case "local":
      return { kind: "local", local: held.spec };
    case "upstream":
      return { kind: "upstream", upstream: held.spec };
    default:
      return held satisfies never;
  }
}

/** With the visitors that the relay turned away, as it told last (`countersOfAll`). */
export function countersOfHeld(held: Held): Counters {
  if (held.kind === "remote") {
    return mergeRefused(countersOf(held.forward.visits.counters), held.forward.refusedAtRelay.total());
  }
  // What the router forwards never passes here.
  if (held.kind === "upstream") return NO_COUNTERS;
  return held.forward === null ? NO_COUNTERS : countersOf(held.forward.entry.visits.counters);
}

/** This agent's counts, with the visitors that the relay itself turned away. */
function mergeRefused(own: Counters, atRelay: Readonly<Record<string, number>>): Counters {
  const refused: Partial<Record<ReasonName, number>> = { ...own.refused };
  for (const [reason, count] of Object.entries(atRelay)) {
    const name = reason as ReasonName;
    refused[name] = Math.max(refused[name] ?? 0, count);
  }
  return { ...own, refused };
}

export function endpointsOf(held: Held): Endpoint[] {
  if (held.kind === "remote") {
    const { answer, setting } = held.forward;
    return answer.kind === "open"
      ? answer.endpoints.map((endpoint) => ({ ...endpoint, internalHost: setting.to }))
      : [];
  }
  if (held.kind === "upstream") return held.forward?.state.kind === "open" ? [...held.forward.state.endpoints] : [];
  const { spec, forward } = held;
  if (forward === null) return [];
  const dynamic = spec.type === "dynamic";
  return spec.ports.map((mapping) => {
    const port = openedPort(held, mapping);
    return {
      protocol: mapping.protocol,
      host: spec.bind,
      port,
      lastPort: port + mapping.last - mapping.first,
      internalHost: dynamic ? null : spec.to,
      internalPort: dynamic ? null : mapping.internalFirst,
    };
  });
}

/** Port 0 asks the system for a free one: what it gave is in the open entry. */
function openedPort(held: Held & { kind: "local" }, { protocol, first }: PortMapping): number {
  if (first !== 0) return first;
  const open = held.forward?.entry.ports.find((port) => port.protocol === protocol && port.externalPort === 0);
  return open?.endpoint.port ?? first;
}

export function forwardInfo(held: Held, counters: Counters): ForwardInfo {
  const spec = specOf(held);
  const { state, message } = stateOf(held);
  const upstream = held.kind === "upstream" && held.forward?.state.kind === "open" ? held.forward.state : null;
  return {
    id: partOf(spec).id,
    name: nameOf(spec),
    type: typeOf(spec),
    origin: held.origin,
    device: null,
    group: spec.kind === "remote" ? spec.remote.group : null,
    state,
    message,
    endpoints: endpointsOf(held),
    ...(spec.kind === "remote" && spec.remote.site !== undefined ? { site: siteInfo(spec.remote.site) } : {}),
    via: viaOf(spec),
    leaseEndsMs: upstream?.leaseEndsMs ?? null,
    ...(upstream === null ? {} : { router: upstream.router }),
    counters,
  };
}

function stateOf(held: Held): { readonly state: ForwardState; readonly message: string | null } {
  if (!partOf(specOf(held)).enabled) return { state: "disabled", message: "It is disabled." };
  if (held.kind === "local") {
    return held.error === null ? { state: "open", message: null } : { state: "refused", message: held.error.message };
  }
  if (held.kind === "upstream") return upstreamState(held.forward?.state ?? ASKING);
  const { answer, healthy, trouble } = held.forward;
  switch (answer.kind) {
    case "waiting":
      return { state: "waiting", message: "The relay is not reachable now." };
    case "refused":
      return { state: "refused", message: answer.message };
    case "open":
      if (!healthy) return { state: "unhealthy", message: "The service behind it does not answer." };
      return trouble ?? { state: "open", message: null };
    default:
      return answer satisfies never;
  }
}

const ASKING: UpstreamState = { kind: "asking" };

function upstreamState(state: UpstreamState): { readonly state: ForwardState; readonly message: string | null } {
  switch (state.kind) {
    case "asking":
      return { state: "waiting", message: "The router has not answered yet." };
    case "open":
      return { state: "open", message: state.note === null ? null : noteText(state.note) };
    case "lost":
      return { state: "waiting", message: state.message };
    case "refused":
      return { state: "refused", message: state.message };
    default:
      return state satisfies never;
  }
}
