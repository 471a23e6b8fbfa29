import type { ForwardOptions, RemoteSpec, SiteLogin, SiteSpec } from "../../core/forward.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { ForwardDraft, ForwardPatch } from "../../servers/api/schema.ts";
import { titleOf } from "../config/naming.ts";
import { formatMappings } from "../config/ports.ts";
import { type Problem, problemsOf, renderProblem } from "../config/problem.ts";
import { ExposeEntry, keysAt } from "../config/schema.ts";
import { assignedSpec } from "../config/specs.ts";

/** The keys of an `[[expose]]` entry under the names that the API has for them. */
const KEYS = {
  ports: "ports",
  to: "to",
  protocol: "protocol",
  name: "name",
  enabled: "enabled",
  allow: "allow",
  deny: "deny",
  connections: "connections",
  connectionsPerSource: "connections-per-source",
  newPerSource: "new-per-source",
  bandwidth: "bandwidth",
  proxyProtocol: "proxy-protocol",
  healthCheck: "health-check",
  as: "as",
  group: "group",
  idle: "idle",
  udpIdle: "udp-idle",
  lifetime: "lifetime",
  host: "host",
  tls: "tls",
  http2: "http2",
  // The API has in the request what the config file has in a file of its own.
  logins: "basic-auth-file",
} as const satisfies Record<keyof Omit<ForwardDraft, "device">, keyof ExposeEntry>;
type Key = keyof typeof KEYS;
const NAMES = new Map<string, string>(Object.entries(KEYS).map(([name, key]) => [key, name]));
/** Stands for that file: only that there is one matters. */
const LOGINS_GIVEN = "logins";

export interface Drafted {
  readonly spec: RemoteSpec;
  /** The host that the device dials. */
  readonly to: string;
}

/**
 * A draft, checked as the command line's and the config file's is. `logins`: its own, hashed (see loginsOf). Throws
 * ApiFailure `invalid`, with each field's problem.
 */
export function specOfDraft({ device: _, ...draft }: ForwardDraft, logins: readonly SiteLogin[] = []): Drafted {
  const entry: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(draft)) if (value !== undefined) entry[KEYS[name as Key]] = value;
  if (draft.logins !== undefined) entry[KEYS.logins] = draft.logins.length === 0 ? undefined : LOGINS_GIVEN;
  const parsed = ExposeEntry.safeParse(withoutUndefined(entry));
  if (!parsed.success) throw invalid(problemsOf(parsed.error.issues, entry, () => keysAt(["expose"])));
  const made = assignedSpec(parsed.data, logins);
  if (!made.ok) throw invalid([made.error]);
  return { spec: made.value.remote, to: made.value.to };
}

function withoutUndefined(entry: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}

/**
 * The forward with what the patch names: what is absent stays, null takes a setting away. `logins`: the patch's, hashed (see
 * loginsOf); undefined = it has none.
 */
export function patched(present: Drafted, patch: ForwardPatch, logins?: readonly SiteLogin[]): Drafted {
  const before = present.spec;
  const given = Object.entries(patch).filter(([, value]) => value !== null && value !== undefined);
  if (before.site === undefined && patch.host !== undefined) {
    throw invalid([{ path: ["host"], message: "is for a site: remove this forward, and make a site in its place" }]);
  }
  // What is not in the patch is not parsed anew: only what a person wrote may be refused. What a site is goes with all of it.
  const words = { device: "-", ports: portsText(before), ...siteWords(before.site), ...Object.fromEntries(given) };
  const { spec, to } = specOfDraft(words as ForwardDraft, logins);
  const has = (key: keyof ForwardPatch): boolean => patch[key] !== undefined;
  const changesPorts = has("ports") || has("protocol");
  const site = spec.site === undefined ? undefined : { ...spec.site, logins: logins ?? before.site?.logins ?? [] };
  return {
    to: has("to") ? to : present.to,
    spec: {
      ...before,
      name: has("name") ? spec.name : nameAfter(before, site),
      enabled: has("enabled") ? spec.enabled : before.enabled,
      ports: changesPorts ? spec.ports : before.ports,
      options: {
        ...before.options,
        source: {
          allow: has("allow") ? spec.options.source.allow : before.options.source.allow,
          deny: has("deny") ? spec.options.source.deny : before.options.source.deny,
        },
        limits: limitsOf(before.options.limits, spec.options.limits, has),
        proxyProtocol: has("proxyProtocol") ? spec.options.proxyProtocol : before.options.proxyProtocol,
        healthCheck: has("healthCheck") ? spec.options.healthCheck : before.options.healthCheck,
        tcpIdleSec: has("idle") ? spec.options.tcpIdleSec : before.options.tcpIdleSec,
        udpIdleSec: has("udpIdle") ? spec.options.udpIdleSec : before.options.udpIdleSec,
      },
      ...(site === undefined ? {} : { site }),
    },
  };
}

/** The ports as a person would write them; of a site the one of its service. */
export function portsText({ ports, site }: Pick<RemoteSpec, "ports" | "site">): string {
  return site === undefined ? formatMappings(ports) : String(ports[0]?.internalFirst ?? "");
}

/** As a draft says it. */
function siteWords(site: SiteSpec | undefined): Pick<ForwardDraft, "host" | "tls" | "http2" | "logins"> {
  if (site === undefined) return {};
  const { hosts, tls, service, logins } = site;
  return {
    host: [...hosts],
    tls,
    http2: service === "h2c",
    logins: logins.map(({ user, hash }) => ({ user, password: hash })),
  };
}

/** A site without a name of its own goes by what visitors type. */
function nameAfter({ name, site }: RemoteSpec, next: SiteSpec | undefined): string {
  const titleBy = ({ hosts }: SiteSpec) => titleOf(undefined, hosts.join(", "));
  return site !== undefined && next !== undefined && name === titleBy(site) ? titleBy(next) : name;
}

const LIMITS = {
  connections: "connections",
  connectionsPerSource: "connectionsPerSource",
  newPerSource: "newPerSourcePerSec",
  bandwidth: "bandwidthBytesPerSec",
} as const satisfies Partial<Record<keyof ForwardPatch, keyof ForwardOptions["limits"]>>;

function limitsOf(
  before: ForwardOptions["limits"],
  next: ForwardOptions["limits"],
  has: (key: keyof ForwardPatch) => boolean,
): ForwardOptions["limits"] {
  const kept = Object.entries(LIMITS).flatMap(([field, limit]) => {
    const value = (has(field as keyof ForwardPatch) ? next : before)[limit];
    return value === undefined ? [] : [[limit, value] as const];
  });
  return Object.fromEntries(kept);
}

function invalid(problems: readonly Problem[]): ApiFailure {
  const errors = problems.map((problem) => {
    const key = String(problem.path.find((part) => typeof part === "string") ?? "");
    const path = NAMES.get(key) ?? key;
    return { path, message: renderProblem(path === "" ? "The forward" : path, problem) };
  });
  return new ApiFailure("invalid", errors[0]?.message ?? "The forward cannot be understood.", { errors });
}
