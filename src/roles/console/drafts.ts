import type { ForwardOptions, RemoteSpec } from "../../core/forward.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { ForwardDraft, ForwardPatch } from "../../servers/api/schema.ts";
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
} as const satisfies Record<keyof Omit<ForwardDraft, "device">, keyof ExposeEntry>;
type Key = keyof typeof KEYS;
const NAMES = new Map<string, string>(Object.entries(KEYS).map(([name, key]) => [key, name]));

export interface Drafted {
  readonly spec: RemoteSpec;
  /** The host that the device dials. */
  readonly to: string;
}

/** A draft, checked as the command line's and the config file's is. Throws ApiFailure `invalid`, with each field's problem. */
export function specOfDraft({ device: _, ...draft }: ForwardDraft): Drafted {
  const entry: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(draft)) if (value !== undefined) entry[KEYS[name as Key]] = value;
  const parsed = ExposeEntry.safeParse(entry);
  if (!parsed.success) throw invalid(problemsOf(parsed.error.issues, entry, () => keysAt(["expose"])));
  const made = assignedSpec(parsed.data);
  if (!made.ok) throw invalid([made.error]);
  return { spec: made.value.remote, to: made.value.to };
}

/** The forward with what the patch names: what is absent stays, null takes a setting away. */
export function patched(present: Drafted & { readonly ports: string }, patch: ForwardPatch): Drafted {
  const given = Object.entries(patch).filter(([, value]) => value !== null && value !== undefined);
  // What is not in the patch is not parsed anew: only what a person wrote may be refused.
  const { spec, to } = specOfDraft({ device: "-", ports: present.ports, ...Object.fromEntries(given) } as ForwardDraft);
  const has = (key: keyof ForwardPatch): boolean => patch[key] !== undefined;
  const changesPorts = has("ports") || has("protocol");
  const before = present.spec;
  return {
    to: has("to") ? to : present.to,
    spec: {
      ...before,
      name: has("name") ? spec.name : before.name,
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
      },
    },
  };
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
