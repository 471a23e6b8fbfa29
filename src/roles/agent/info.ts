import type { PortMapping } from "../../wire/port-set.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { AttachEvent, Counters, Endpoint, ForwardInfo, ForwardSpec, ForwardState } from "../control.ts";
import { countersOf, NO_COUNTERS } from "../views.ts";
import type { Held } from "./held.ts";

export function nameOf(spec: ForwardSpec): string {
  return spec.kind === "remote" ? spec.remote.name : spec.local.name;
}

export function typeOf(spec: ForwardSpec): (AttachEvent & { event: "exposed" })["type"] {
  return spec.kind === "remote" ? "remote" : spec.local.type;
}

/** `here`, `relay` or `agent:NAME`: where the exit is, seen from this agent. */
export function viaOf(spec: ForwardSpec): string {
  if (spec.kind === "remote") return "relay";
  const { via } = spec.local;
  return via.kind === "agent" ? `agent:${via.device}` : via.kind;
}

export function specOf(held: Held): ForwardSpec {
  return held.kind === "local"
    ? { kind: "local", local: held.spec }
    : { kind: "remote", remote: held.forward.spec, to: held.forward.setting.to };
}

/** With the visitors that the relay turned away, as it told last (`countersOfAll`). */
export function countersOfHeld(held: Held): Counters {
  if (held.kind === "remote") {
    return mergeRefused(countersOf(held.forward.visits.counters), held.forward.refusedAtRelay.total());
  }
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
  return {
    id: spec.kind === "remote" ? spec.remote.id : spec.local.id,
    name: nameOf(spec),
    type: typeOf(spec),
    origin: held.origin,
    device: null,
    group: spec.kind === "remote" ? spec.remote.group : null,
    state,
    message,
    endpoints: endpointsOf(held),
    via: viaOf(spec),
    leaseEndsMs: null,
    counters,
  };
}

function stateOf(held: Held): { readonly state: ForwardState; readonly message: string | null } {
  const enabled = held.kind === "remote" ? held.forward.spec.enabled : held.spec.enabled;
  if (!enabled) return { state: "disabled", message: "It is disabled." };
  if (held.kind === "local") {
    return held.error === null ? { state: "open", message: null } : { state: "refused", message: held.error.message };
  }
  const { answer, healthy } = held.forward;
  switch (answer.kind) {
    case "waiting":
      return { state: "waiting", message: "The relay is not reachable now." };
    case "refused":
      return { state: "refused", message: answer.message };
    case "open":
      return healthy
        ? { state: "open", message: null }
        : { state: "unhealthy", message: "The service behind it does not answer." };
    default:
      return answer satisfies never;
  }
}
