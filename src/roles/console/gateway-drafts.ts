import { ApiFailure } from "../../servers/api/backend.ts";
import type { ForwardDraft, ForwardPatch, TriggerDraft } from "../../servers/api/schema.ts";
import { mappingDraft, triggerRule } from "../config/gateway.ts";
import { MappingEntry, TriggerEntry } from "../config/gateway-schema.ts";
import { formatMappings } from "../config/ports.ts";
import { type Problem, problemsOf, renderProblem } from "../config/problem.ts";
import type { MappingDraft, TriggerDraft as TriggerRule } from "../control.ts";

/** The keys of a `[[mapping]]` entry under the names that the API has for them. */
const KEYS = {
  ports: "ports",
  protocol: "protocol",
  name: "name",
  enabled: "enabled",
  allow: "allow",
  deny: "deny",
  connectionsPerSource: "connections-per-source",
  newPerSource: "new-per-source",
  lifetime: "lifetime",
} as const satisfies Partial<Record<keyof ForwardDraft, keyof MappingEntry>>;
type Key = keyof typeof KEYS;
const NAMES = new Map<string, string>(Object.entries(KEYS).map(([name, key]) => [key, name]));
/** What a relay does to a visitor's bytes; the kernel sees packets. */
const NOT_THE_KERNELS = [
  "as",
  "group",
  "idle",
  "udpIdle",
  "connections",
  "bandwidth",
  "proxyProtocol",
  "healthCheck",
  "host",
  "tls",
  "http2",
  "logins",
] as const;

type Wish = Partial<Record<keyof ForwardPatch | keyof ForwardDraft, unknown>>;

/**
 * What a person wants to be led to the client `to`, checked as the command line's and the config file's is. Throws
 * ApiFailure `invalid`, with each field's problem.
 */
export function draftOf({ device: _, ...draft }: ForwardDraft, to: string): MappingDraft {
  refuseUnable(draft, to);
  return made(draft, to);
}

/** A mapping that is held, with what the patch names: what is absent stays, null takes a setting away. */
export function patchedDraft(present: MappingDraft, patch: ForwardPatch): MappingDraft {
  refuseUnable(patch, present.to);
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== null && value !== undefined));
  // What is not in the patch is not parsed anew: only what a person wrote may be refused.
  const next = made({ ports: formatMappings(present.ports), ...given }, present.to);
  const has = (key: keyof ForwardPatch): boolean => patch[key] !== undefined;
  const limit = <K extends keyof MappingDraft["limits"]>(field: keyof ForwardPatch, key: K) => {
    const value = (has(field) ? next : present).limits[key];
    return value === undefined ? {} : { [key]: value };
  };
  return {
    ...present,
    name: has("name") ? next.name : present.name,
    enabled: has("enabled") ? next.enabled : present.enabled,
    ports: has("ports") || has("protocol") ? next.ports : present.ports,
    allow: has("allow") ? next.allow : present.allow,
    deny: has("deny") ? next.deny : present.deny,
    limits: {
      ...limit("connectionsPerSource", "connectionsPerSource"),
      ...limit("newPerSource", "newPerSourcePerSec"),
    },
  };
}

function made(wish: Wish, to: string): MappingDraft {
  const entry: Record<string, unknown> = { to };
  for (const [name, key] of Object.entries(KEYS)) if (wish[name as Key] !== undefined) entry[key] = wish[name as Key];
  const parsed = MappingEntry.safeParse(entry);
  if (!parsed.success) {
    throw invalid(problemsOf(parsed.error.issues, entry, () => Object.keys(MappingEntry.shape)));
  }
  const draft = mappingDraft(parsed.data);
  if (!draft.ok) throw invalid([draft.error]);
  return draft.value;
}

function refuseUnable(wish: Wish, to: string): void {
  const errors = NOT_THE_KERNELS.filter((field) => ![undefined, null, false].includes(wish[field] as never)).map(
    (path) => ({ path, message: `The kernel of a gateway has no ${path}: leave it out, or forward by a relay.` }),
  );
  if (wish.to !== undefined && wish.to !== null && wish.to !== to) {
    const message = "A gateway leads to the device itself: leave this out, or name another device.";
    errors.push({ path: "to" as never, message });
  }
  const [first] = errors;
  if (first !== undefined) throw new ApiFailure("invalid", first.message, { errors });
}

/** As `[[trigger]]` and `trigger add` have it. Throws ApiFailure `invalid`. */
export function triggerOf({ name, out, in: into, timeoutSec, secondHost }: TriggerDraft): TriggerRule {
  const entry = {
    name,
    out,
    in: into,
    ...(timeoutSec === undefined ? {} : { timeout: `${timeoutSec}s` }),
    ...(secondHost === undefined ? {} : { "first-wins": secondHost === "refused" }),
  };
  const parsed = TriggerEntry.safeParse(entry);
  if (!parsed.success) {
    throw invalid(problemsOf(parsed.error.issues, entry, () => Object.keys(TriggerEntry.shape)));
  }
  const rule = triggerRule(parsed.data);
  if (!rule.ok) throw invalid([rule.error]);
  return rule.value;
}

function invalid(problems: readonly Problem[]): ApiFailure {
  const errors = problems.map((problem) => {
    const key = String(problem.path.find((part) => typeof part === "string") ?? "");
    const path = NAMES.get(key) ?? key;
    return { path, message: renderProblem(path === "" ? "The request" : path, problem) };
  });
  return new ApiFailure("invalid", errors[0]?.message ?? "The request cannot be understood.", { errors });
}
