import { allocateExternal } from "../../core/allocate.ts";
import type { PolicyRefusal, PolicyRule } from "../../core/policy.ts";
import type { PortSpans } from "../../core/port-spans.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { Refused } from "./refused.ts";
import { refused } from "./refused.ts";

/** How many bases are tried when other programs hold ports of the pool. */
const TRIES = 50;
/** Refusals that no other port number changes. */
const WHATEVER_PORT: readonly PolicyRule[] = ["suspended", "forwardQuota", "portQuota"];

export interface AnyPortsOptions<T> {
  /** Where to look, lowest first. */
  readonly candidates: PortSpans;
  /** Whether nobody holds these ports. */
  isFree(ports: readonly PortMapping[]): boolean;
  /** Null = the policy allows them. */
  refusal(ports: readonly PortMapping[]): PolicyRefusal | null;
  /** Opens them; a conflict means that another program has one. */
  open(ports: readonly PortMapping[]): Result<T, Refused>;
}

/** Settles a request for any ports: the lowest run that is free, allowed, and opens. */
export function openAnyPorts<T>(asked: readonly PortMapping[], options: AnyPortsOptions<T>): Result<T, Refused> {
  const tried = new Set<number>();
  let last: Refused | null = null;
  let never: PolicyRefusal | null = null;
  const fits = (ports: readonly PortMapping[]) => {
    if (never !== null || tried.has(baseOf(asked, ports)) || !options.isFree(ports)) return false;
    const refusal = options.refusal(ports);
    if (refusal !== null && WHATEVER_PORT.includes(refusal.rule)) never = refusal;
    return refusal === null;
  };
  while (tried.size < TRIES) {
    const settled = allocateExternal(asked, options.candidates, fits);
    if (settled === null) break;
    tried.add(baseOf(asked, settled));
    const opened = options.open(settled);
    if (opened.ok) return ok(opened.value);
    last = opened.error;
  }
  if (never !== null) return err(refused("policy", (never as PolicyRefusal).message));
  return err(last ?? refused("policy", "The relay has no such run of free ports left for this device; ask for fewer."));
}

/** The number that a settled request starts at. */
function baseOf(asked: readonly PortMapping[], settled: readonly PortMapping[]): number {
  return settled[asked.findIndex(({ first }) => first === 0)]?.first ?? 0;
}
