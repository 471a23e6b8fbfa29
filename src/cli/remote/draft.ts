import { ANY_EXTERNAL } from "../../core/allocate.ts";
import { DEFAULT_OPTIONS, type SiteSpec } from "../../core/forward.ts";
import { titleOf } from "../../roles/config/naming.ts";
import { formatMappings } from "../../roles/config/ports.ts";
import { LOOPBACK } from "../../roles/config/specs.ts";
import type { AssignRequest } from "../../roles/control.ts";
import type { ForwardDraft } from "../../servers/api/client.ts";
import type { PortMapping } from "../../wire/port-set.ts";

const SECONDS_PER_MINUTE = 60;

/** The words of which the API makes the same forward. */
export function draftOf({ device, spec, to }: AssignRequest): ForwardDraft {
  const { options, name, group, lifetimeSec, enabled } = spec;
  const { source, limits, proxyProtocol, tcpIdleSec, udpIdleSec, healthCheck } = options;
  const { connections, connectionsPerSource, newPerSourcePerSec, bandwidthBytesPerSec } = limits;
  return {
    device,
    ...(spec.site === undefined ? portWordsOf(spec.ports) : siteWordsOf(spec.ports, spec.site)),
    // The device's own machine is what is meant when nothing is said; a gateway leads nowhere else.
    ...(to === LOOPBACK ? {} : { to }),
    // Without a name a forward is known by what it is; with one, by that.
    ...(name === titleOf(undefined, spec.site?.hosts.join(", ") ?? formatMappings(spec.ports)) ? {} : { name }),
    ...(enabled ? {} : { enabled }),
    ...(group === null ? {} : { group }),
    ...(source.allow.length === 0 ? {} : { allow: [...source.allow] }),
    ...(source.deny.length === 0 ? {} : { deny: [...source.deny] }),
    ...(connections === undefined ? {} : { connections }),
    ...(connectionsPerSource === undefined ? {} : { connectionsPerSource }),
    ...(newPerSourcePerSec === undefined ? {} : { newPerSource: rateOf(newPerSourcePerSec) }),
    ...(bandwidthBytesPerSec === undefined ? {} : { bandwidth: `${bandwidthBytesPerSec} B/s` }),
    ...(proxyProtocol === null ? {} : { proxyProtocol }),
    ...(healthCheck === null ? {} : { healthCheck: `${healthCheck.intervalSec}s` }),
    ...(tcpIdleSec === null ? {} : { idle: `${tcpIdleSec}s` }),
    ...(udpIdleSec === DEFAULT_OPTIONS.udpIdleSec ? {} : { udpIdle: `${udpIdleSec}s` }),
    ...(lifetimeSec === null ? {} : { lifetime: `${lifetimeSec}s` }),
  };
}

/** Passwords are hashes here already, which the API takes as such. */
function siteWordsOf(
  [port]: readonly PortMapping[],
  { hosts, tls, service, logins }: SiteSpec,
): Pick<ForwardDraft, "ports" | "host" | "tls" | "http2" | "logins"> {
  return {
    ports: String(port?.internalFirst ?? ""),
    host: [...hosts],
    tls,
    ...(service === "h2c" ? { http2: true } : {}),
    ...(logins.length === 0 ? {} : { logins: logins.map(({ user, hash }) => ({ user, password: hash })) }),
  };
}

/** Any ports of the pool are asked for by what is inside alone. */
function portWordsOf(ports: readonly PortMapping[]): Pick<ForwardDraft, "ports" | "as"> {
  if (!ports.some(({ first }) => first === ANY_EXTERNAL)) return { ports: formatMappings(ports) };
  const inside = ports.map(({ protocol, first, last, internalFirst }) => ({
    protocol,
    first: internalFirst,
    last: internalFirst + last - first,
    internalFirst,
  }));
  return { ports: formatMappings(inside), as: "any" };
}

/** People write whole numbers, a second or a minute. */
function rateOf(perSec: number): string {
  return Number.isInteger(perSec) ? `${perSec}/s` : `${Math.round(perSec * SECONDS_PER_MINUTE)}/m`;
}
