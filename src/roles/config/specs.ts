import {
  DEFAULT_OPTIONS,
  type ForwardOptions,
  type LocalForwardSpec,
  type LocalSpec,
  type RemoteForwardSpec,
  type SiteLogin,
  type SiteSpec,
  type Via,
} from "../../core/forward.ts";
import { parseHost } from "../../wire/endpoint.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type IdOf, stableId, titleOf } from "./naming.ts";
import { exposePorts, formatMappings, pairPorts } from "./ports.ts";
import type { Problem } from "./problem.ts";
import type { ExposeEntry, ForwardEntry, SocksEntry } from "./schema.ts";

/** How long the ports of a device that is away stay reserved (tunnel.md, Liveness). */
export const DEFAULT_LIFETIME_SEC = 600;
/** Where a service is when nobody says. */
export const LOOPBACK = "127.0.0.1";
const HERE: Via = { kind: "here" };

/**
 * A remote forward from an `[[expose]]` entry, or from `expose`'s arguments or the library's options under the same keys.
 * `idOf`: how the library names it, which runs on Node too.
 */
export function exposeSpec(
  entry: ExposeEntry,
  idOf: IdOf = stableId,
  logins?: readonly SiteLogin[],
): Result<RemoteForwardSpec, Problem> {
  if (entry.host !== undefined) return siteForward(entry, entry.host, idOf, logins);
  const alone = SITE_KEYS.find((key) => entry[key] !== undefined);
  if (alone !== undefined) return err({ path: [alone], message: "is for a site: name it with `host`" });
  const to = parseHost(entry.to ?? LOOPBACK);
  if (!to.ok) {
    return err({ path: ["to"], message: to.error.message, place: { text: entry.to ?? "", error: to.error } });
  }
  const ports = exposePorts(entry.ports, entry.as ?? null, entry.protocol ?? "tcp");
  if (!ports.ok) return err({ path: ["as"], message: ports.error });
  const problem = serviceProblem(entry, ports.value);
  if (problem !== null) return err(problem);
  const title = titleOf(entry.name, formatMappings(ports.value));
  const remote = {
    id: idOf("expose", entry.name, { ports: ports.value, to: to.value }),
    name: title,
    group: entry.group ?? null,
    ports: ports.value,
    options: optionsOf(entry),
    enabled: entry.enabled ?? true,
    lifetimeSec: entry.lifetime === undefined ? DEFAULT_LIFETIME_SEC : entry.lifetime,
  };
  return ok({ kind: "remote", remote, to: to.value });
}

const SITE_KEYS = ["tls", "http2", "basic-auth-file"] as const;

/** A forward that is reached by name. `logins`: what the file of them says. */
function siteForward(
  entry: ExposeEntry,
  hosts: readonly string[],
  idOf: IdOf,
  logins: readonly SiteLogin[] | undefined,
): Result<RemoteForwardSpec, Problem> {
  const { host: _, tls = "end", http2 = false, as, "basic-auth-file": loginFile, ...rest } = entry;
  if (as !== undefined) return err({ path: ["as"], message: "is for ports: a site is reached by its name" });
  if (loginFile !== undefined && logins === undefined) {
    return err({ path: ["basic-auth-file"], message: "is for the device's own config and command line" });
  }
  if (loginFile !== undefined && tls === "pass") {
    return err({
      path: ["basic-auth-file"],
      message: 'is not asked for where TLS is passed through: set tls to "end"',
    });
  }
  if (http2 && tls !== "end")
    return err({ path: ["http2"], message: 'is for sites whose TLS the relay ends: set tls to "end"' });
  const made = exposeSpec({ ...rest, as: "any" }, idOf);
  if (!made.ok) return made;
  const { remote, to } = made.value;
  const [port] = remote.ports;
  if (remote.ports.length !== 1 || port === undefined || port.protocol !== "tcp" || port.last !== port.first) {
    return err({ path: ["ports"], message: "must be one TCP port: the service that the site is" });
  }
  const site: SiteSpec = { hosts, tls, service: http2 ? "h2c" : "http1", logins: logins ?? [] };
  const id = idOf("expose", entry.name, { hosts, ports: remote.ports, to });
  return ok({ kind: "remote", remote: { ...remote, id, name: titleOf(entry.name, hosts.join(", ")), site }, to });
}

/** The same for a forward that people at a relay give a device: its ports are kept for good unless told otherwise. */
export function assignedSpec(entry: ExposeEntry, logins?: readonly SiteLogin[]): Result<RemoteForwardSpec, Problem> {
  const made = exposeSpec(entry, undefined, logins);
  if (!made.ok) return made;
  const { remote, to } = made.value;
  const id = stableId("relay", entry.name, { ports: remote.ports, to, hosts: remote.site?.hosts });
  return ok({ kind: "remote", remote: { ...remote, id, lifetimeSec: entry.lifetime ?? null }, to });
}

/** A local or direct forward from a `[[forward]]` entry, or from `direct`'s and `connect -L`'s arguments. */
export function forwardSpec(entry: ForwardEntry, idOf: IdOf = stableId): Result<LocalForwardSpec, Problem> {
  const ports = pairPorts(entry.listen, entry.to, entry.protocol ?? "tcp");
  if (!ports.ok) return err({ path: ["to"], message: ports.error });
  const problem = serviceProblem(entry, ports.value);
  if (problem !== null) return err(problem);
  const via = entry.via ?? HERE;
  return ok(
    localSpec({
      type: via.kind === "here" ? "direct" : "local",
      entry,
      ports: ports.value,
      to: entry.to.host,
      via,
      credentials: null,
      idOf,
    }),
  );
}

/** A dynamic forward from a `[[socks]]` entry or `connect -D`. `password`: what stands in the password file. */
export function socksSpec(
  entry: SocksEntry,
  password: string | null,
  idOf: IdOf = stableId,
): Result<LocalForwardSpec, Problem> {
  const run = entry.listen.ports.ranges[0];
  if (entry.listen.ports.ranges.length !== 1 || run === undefined || run.first !== run.last || run.protocol === "udp") {
    return err({ path: ["listen"], message: "must be one TCP port, such as 127.0.0.1:1080" });
  }
  if ((entry.username === undefined) !== (password === null)) {
    const path = entry.username === undefined ? ["username"] : ["password-file"];
    return err({ path, message: "is missing: a user name and a password go together" });
  }
  const credentials = entry.username === undefined || password === null ? null : { username: entry.username, password };
  const ports: readonly PortMapping[] = [
    { protocol: "tcp", first: run.first, last: run.last, internalFirst: run.first },
  ];
  return ok(localSpec({ type: "dynamic", entry, ports, to: null, via: entry.via ?? HERE, credentials, idOf }));
}

function localSpec(parts: {
  readonly type: LocalSpec["type"];
  readonly entry: ForwardEntry | SocksEntry;
  readonly ports: readonly PortMapping[];
  readonly to: string | null;
  readonly via: Via;
  readonly credentials: LocalSpec["credentials"];
  readonly idOf: IdOf;
}): LocalForwardSpec {
  const { type, entry, ports, to, via, credentials, idOf } = parts;
  const { bind } = entry.listen;
  const local: LocalSpec = {
    id: idOf(type, entry.name, { bind, ports, to, via }),
    name: titleOf(entry.name, formatMappings(ports)),
    type,
    bind,
    ports,
    to,
    via,
    credentials,
    options: optionsOf(entry),
    enabled: entry.enabled ?? true,
  };
  return { kind: "local", local };
}

function optionsOf(entry: ExposeEntry | ForwardEntry | SocksEntry): ForwardOptions {
  return {
    ...DEFAULT_OPTIONS,
    source: { allow: entry.allow ?? [], deny: entry.deny ?? [] },
    limits: {
      ...(entry.connections === undefined ? {} : { connections: entry.connections }),
      ...(entry["connections-per-source"] === undefined
        ? {}
        : { connectionsPerSource: entry["connections-per-source"] }),
      ...(entry["new-per-source"] === undefined ? {} : { newPerSourcePerSec: entry["new-per-source"] }),
      ...(entry.bandwidth === undefined ? {} : { bandwidthBytesPerSec: entry.bandwidth }),
    },
    proxyProtocol: "proxy-protocol" in entry ? (entry["proxy-protocol"] ?? null) : null,
    tcpIdleSec: entry.idle ?? DEFAULT_OPTIONS.tcpIdleSec,
    udpIdleSec: entry["udp-idle"] ?? DEFAULT_OPTIONS.udpIdleSec,
    healthCheck: "health-check" in entry ? (entry["health-check"] ?? null) : null,
  };
}

/** What the keys rule out together. */
function serviceProblem(entry: ExposeEntry | ForwardEntry, ports: readonly PortMapping[]): Problem | null {
  const hasUdp = ports.some((mapping) => mapping.protocol === "udp");
  if (entry["proxy-protocol"] === "v1" && hasUdp) {
    return { path: ["proxy-protocol"], message: 'must be "v2" when UDP ports are forwarded: v1 knows TCP only' };
  }
  const hasTcp = ports.some((mapping) => mapping.protocol === "tcp");
  const checks = entry["health-check"] !== undefined && entry["health-check"] !== null;
  if (checks && !hasTcp) return { path: ["health-check"], message: "needs a TCP port: it connects to the service" };
  return null;
}
