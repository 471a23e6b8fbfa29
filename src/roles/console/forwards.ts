import { seesAll } from "../../core/access/rights.ts";
import type { HeldForward } from "../../core/held.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { Forward } from "../../servers/api/schema.ts";
import type { RelayView } from "../relay/control.ts";
import { forwardState } from "../relay/forward-state.ts";
import { siteInfo } from "../site-info.ts";
import { countersOf, NO_COUNTERS } from "../views.ts";
import { portsText } from "./drafts.ts";

/** The API's name for a forward: unique on the relay, where a device's id and its own name for the forward are one. */
export function apiId(device: string, specId: string): string {
  return `${device}.${Buffer.from(specId).toString("base64url")}`;
}

export function idOf({ owner, spec }: HeldForward): string {
  return apiId(owner.device, spec.id);
}

export function partsOfId(id: string): { readonly device: string; readonly specId: string } | null {
  const dot = id.lastIndexOf(".");
  if (dot <= 0) return null;
  return { device: id.slice(0, dot), specId: Buffer.from(id.slice(dot + 1), "base64url").toString() };
}

export function noForward(): ApiFailure {
  return new ApiFailure("not-found", "There is no such forward.");
}

export function sees(who: Principal, account: string): boolean {
  return seesAll(who) || who.accountId === account;
}

/** The forward of that id, if it is theirs: another account's is answered like none. */
export function heldBy(relay: RelayView, who: Principal, id: string): HeldForward {
  const parts = partsOfId(id);
  const held = parts === null ? null : relay.forwards.get(parts.device, parts.specId);
  if (held === null || !sees(who, held.owner.account)) throw noForward();
  return held;
}

/** What `If-Match` names: another text whenever a person's settings of it are others. */
export function versionOf({ spec }: HeldForward, to: string | null): string {
  return Bun.hash(JSON.stringify([spec, to])).toString(36);
}

export function forwardOf(relay: RelayView, held: HeldForward, accountName: string): Forward {
  const { owner, spec } = held;
  const { options } = spec;
  const assigned = relay.forwards.assignments.get(owner.device, spec.id);
  const entry = relay.forwards.entryOf(held)?.entry ?? null;
  const endpoints = relay.forwards.endpointsOf(held, relay.session(owner.device));
  return {
    id: idOf(held),
    name: spec.name,
    device: { id: owner.device, name: relay.forwards.deviceName(owner.device) },
    account: { id: owner.account, name: accountName },
    group: spec.group,
    ports: portsText(spec),
    to: assigned?.to ?? null,
    enabled: spec.enabled,
    origin: assigned === null ? "cli" : "api",
    editable: assigned !== null,
    removable: assigned !== null,
    way: "relay",
    ...forwardState(held, relay),
    endpoints: endpoints.map((one) => ({ ...one, internalHost: assigned?.to ?? null })),
    leaseEndsMs: relay.forwards.leaseEndsMs(held),
    allow: options.source.allow,
    deny: options.source.deny,
    limits: {
      connections: options.limits.connections ?? null,
      connectionsPerSource: options.limits.connectionsPerSource ?? null,
      newPerSourcePerSec: options.limits.newPerSourcePerSec ?? null,
      bandwidthBytesPerSec: options.limits.bandwidthBytesPerSec ?? null,
    },
    proxyProtocol: options.proxyProtocol,
    healthCheck: options.healthCheck !== null,
    site: spec.site === undefined ? null : siteInfo(spec.site),
    counters: entry === null ? NO_COUNTERS : countersOf(entry.visits.counters),
  };
}
