import type { PortSet, Protocol } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import type { ExternalPorts } from "./external-ports.ts";
import { firstInside, firstOutside, formatSpans, type PortSpans, PROTOCOLS, spansOf } from "./port-spans.ts";
import type { Refusal } from "./refusal.ts";
import type { OwnerUsage, Usage } from "./usage.ts";

/** A port that the relay itself needs. */
export interface ReservedPort {
  readonly protocol: Protocol;
  readonly port: number;
  /** For the sentence: `the relay's agent port`. */
  readonly purpose: string;
}

/** What the relay hands out at all. */
export interface RelayPolicy {
  /** `--ports`. Ranges that name no protocol count for both. */
  readonly pool: PortSet;
  readonly reserved: readonly ReservedPort[];
  /** Never handed out, even inside the pool (abuse: mail, for instance). */
  readonly denied: PortSet;
}

/** What one account or one device may have of it. An absent limit is no limit. */
export interface Grant {
  /** Narrows the pool; null = all of it. */
  readonly ports: PortSet | null;
  readonly maxForwards?: number;
  readonly maxPorts?: number;
  /** The one switch that closes everything the account or device has. */
  readonly suspended?: boolean;
}

export interface Policy {
  readonly relay: RelayPolicy;
  readonly account: Grant;
  readonly device: Grant;
}

export type PolicyRule = "suspended" | "pool" | "reserved" | "denied" | "forwardQuota" | "portQuota" | "name";

export interface PolicyRefusal extends Refusal {
  readonly kind: "policy";
  readonly rule: PolicyRule;
}

/** Whose grant it is, as its owner would call it. */
type Holder = "account" | "device";
const HOLDERS: readonly Holder[] = ["account", "device"];

/**
 * Whether an owner may hold these external ports besides what it has. `usage` leaves out the forward that is about to
 * be replaced (`ForwardTable.usage`). The first rule that refuses speaks.
 */
export function checkPolicy(ports: ExternalPorts, policy: Policy, usage: OwnerUsage): Result<null, PolicyRefusal> {
  const refusal =
    checkSuspended(policy) ??
    checkReserved(ports, policy.relay) ??
    checkPool(ports, policy) ??
    checkDenied(ports, policy.relay) ??
    checkQuotas(ports, policy, usage);
  return refusal === null ? ok(null) : err(refusal);
}

function refuse(rule: PolicyRule, message: string): PolicyRefusal {
  return { kind: "policy", rule, message };
}

function checkSuspended(policy: Policy): PolicyRefusal | null {
  const holder = HOLDERS.find((one) => policy[one].suspended === true);
  return holder === undefined
    ? null
    : refuse("suspended", `The relay's operator has closed the ports of this ${holder}; ask them to open it again.`);
}

function checkReserved(ports: ExternalPorts, relay: RelayPolicy): PolicyRefusal | null {
  const taken = relay.reserved.find(
    ({ protocol, port }) => firstInside(ports[protocol], { first: port, last: port }) !== null,
  );
  return taken === undefined
    ? null
    : refuse("reserved", `Port ${taken.port}/${taken.protocol} is ${taken.purpose}; choose another port.`);
}

function checkPool(ports: ExternalPorts, { relay, account, device }: Policy): PolicyRefusal | null {
  return (
    outside(ports, relay.pool, "this relay hands out", "ask the relay's operator to add it to --ports") ??
    outside(ports, account.ports, "granted to this account", "ask the relay's operator to grant more") ??
    outside(ports, device.ports, "granted to this device", "come with a join code or an SSH key that has it in --ports")
  );
}

function outside(ports: ExternalPorts, pool: PortSet | null, whose: string, otherwise: string): PolicyRefusal | null {
  if (pool === null) return null;
  for (const protocol of PROTOCOLS) {
    const allowed = spansOf(pool.ranges, protocol);
    const port = firstOf(ports[protocol], (span) => firstOutside(allowed, span));
    if (port === null) continue;
    const qualified = pool.ranges.some((range) => range.protocol !== null);
    const subject = qualified ? `Port ${port}/${protocol}` : `Port ${port}`;
    const scope = qualified ? `${protocol} ports ${whose}` : `ports ${whose}`;
    return refuse(
      "pool",
      `${subject} is outside the ${scope} (${formatSpans(allowed)}); choose one of those, or ${otherwise}.`,
    );
  }
  return null;
}

function checkDenied(ports: ExternalPorts, relay: RelayPolicy): PolicyRefusal | null {
  for (const protocol of PROTOCOLS) {
    const denied = spansOf(relay.denied.ranges, protocol);
    const port = firstOf(ports[protocol], (span) => firstInside(denied, span));
    if (port !== null) {
      return refuse("denied", `The relay's operator does not hand out port ${port}/${protocol}; choose another port.`);
    }
  }
  return null;
}

function firstOf(spans: PortSpans, find: (span: PortSpans[number]) => number | null): number | null {
  for (const span of spans) {
    const port = find(span);
    if (port !== null) return port;
  }
  return null;
}

function checkQuotas(ports: ExternalPorts, policy: Policy, usage: OwnerUsage): PolicyRefusal | null {
  for (const holder of HOLDERS) {
    const refusal = checkQuota(ports, policy[holder], usage[holder], holder);
    if (refusal !== null) return refusal;
  }
  return null;
}

function checkQuota(ports: ExternalPorts, grant: Grant, usage: Usage, holder: Holder): PolicyRefusal | null {
  const otherwise = `remove a forward, or ask the relay's operator for a larger quota`;
  if (grant.maxForwards !== undefined && usage.forwards + 1 > grant.maxForwards) {
    const limit = counted(grant.maxForwards, "forward");
    return refuse("forwardQuota", `This ${holder} may have ${limit} and has ${usage.forwards}; ${otherwise}.`);
  }
  if (grant.maxPorts !== undefined && usage.ports + ports.count > grant.maxPorts) {
    const limit = counted(grant.maxPorts, "port");
    const sum = `has ${usage.ports} and asks for ${ports.count} more`;
    return refuse("portQuota", `This ${holder} may hold ${limit}, ${sum}; ask for fewer, ${otherwise}.`);
  }
  return null;
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
