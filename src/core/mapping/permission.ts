import { type CidrSet, compileCidrs } from "../../wire/address.ts";
import { MAX_PORT } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { firstInside, intersectSpans, MIN_PORT, mergeSpans, type PortSpans, subtractSpans } from "../port-spans.ts";
import type { PermissionRule } from "./permission-rule.ts";

/** A permission list made ready for look-ups. */
export type Permissions = readonly CompiledRule[];

interface CompiledRule {
  readonly rule: PermissionRule;
  /** null = any. */
  readonly client: CidrSet | null;
}

/** A mapping that somebody wants, but for its external port. */
export interface PermissionSubject {
  readonly protocol: Protocol;
  /** The host that the mapping leads to. */
  readonly client: string;
  /** null = the same as the external port, whichever that becomes. */
  readonly internalPort: number | null;
}

export function compilePermissions(rules: readonly PermissionRule[]): Permissions {
  return rules.map((rule) => ({ rule, client: rule.client === null ? null : compileCidrs([rule.client]) }));
}

/** The first rule that matches decides; with none it is denied. The error is the rule that refused, null = none matched. */
export function decide(
  permissions: Permissions,
  subject: PermissionSubject,
  externalPort: number,
): Result<PermissionRule, PermissionRule | null> {
  for (const compiled of permissions) {
    if (!contains(matched(compiled, subject), externalPort)) continue;
    return compiled.rule.action === "allow" ? ok(compiled.rule) : err(compiled.rule);
  }
  return err(null);
}

/**
 * Every external port that `decide` allows. It walks the rules once, however many ports there are, so that a client
 * that may have none costs no search through 65,535 of them.
 */
export function permittedPorts(permissions: Permissions, subject: PermissionSubject): PortSpans {
  let undecided: PortSpans = [{ first: MIN_PORT, last: MAX_PORT }];
  const permitted: PortSpans[] = [];
  for (const compiled of permissions) {
    const ports = matched(compiled, subject);
    if (compiled.rule.action === "allow") permitted.push(intersectSpans(undecided, ports));
    undecided = subtractSpans(undecided, ports);
  }
  return mergeSpans(permitted.flat());
}

/** The external ports for which the rule has a say. */
function matched({ rule, client }: CompiledRule, subject: PermissionSubject): PortSpans {
  if (client !== null && !client.contains(subject.client)) return [];
  const external = rule.external[subject.protocol];
  const internal = rule.internal[subject.protocol];
  if (subject.internalPort === null) return intersectSpans(external, internal);
  return contains(internal, subject.internalPort) ? external : [];
}

function contains(spans: PortSpans, port: number): boolean {
  return firstInside(spans, { first: port, last: port }) !== null;
}
