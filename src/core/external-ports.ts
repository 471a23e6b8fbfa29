import { MAX_PORT } from "../wire/endpoint.ts";
import type { PortMapping } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import type { EntrySpec } from "./forward.ts";
import { countPorts, formatSpan, MIN_PORT, type PortSpans, PROTOCOLS, spansOf } from "./port-spans.ts";
import type { Refusal } from "./refusal.ts";

/** The external side of a forward: what it holds on the relay, ports or names of sites. */
export interface ExternalPorts {
  readonly tcp: PortSpans;
  readonly udp: PortSpans;
  /** In order; of a forward by ports none. */
  readonly hosts: readonly string[];
  /** Ports of both protocols together, and names. */
  readonly count: number;
}

/** Checks the mappings and takes their external side. A refusal is `invalid`: the peer did not check what it sends. */
export function externalPorts(ports: readonly PortMapping[]): Result<ExternalPorts, Refusal> {
  if (ports.length === 0) return invalid("The forward names no port; give it at least one.");
  for (const mapping of ports) {
    const span = mapping.last - mapping.first;
    const numbers = [mapping.first, mapping.last, mapping.internalFirst, mapping.internalFirst + span];
    if (span < 0 || !numbers.every(isPort)) {
      return invalid(`Ports run from ${MIN_PORT} to ${MAX_PORT}, lower one first; ${formatSpan(mapping)} does not.`);
    }
  }
  const external = externalSide(ports);
  if (external.count !== countPorts(ports)) {
    return invalid("The forward names an external port twice; name each one once.");
  }
  return ok(external);
}

/** What a forward asks for, checked. The port of a site is not its own. */
export function externalOf({ ports, site }: Pick<EntrySpec, "ports" | "site">): Result<ExternalPorts, Refusal> {
  const external = externalPorts(ports);
  if (!external.ok || site === undefined) return external;
  const hosts = [...new Set(site.hosts)].sort();
  if (hosts.length !== site.hosts.length) return invalid("The forward lists a name twice; list each one once.");
  if (ports.length !== 1 || external.value.count !== 1 || ports[0]?.protocol !== "tcp") {
    return invalid("A site leads to one TCP port; give one.");
  }
  return ok({ tcp: [], udp: [], hosts, count: hosts.length });
}

/** The external side of mappings that are known to be in order. */
export function externalSide(ports: readonly PortMapping[]): ExternalPorts {
  const tcp = spansOf(ports, "tcp");
  const udp = spansOf(ports, "udp");
  return { tcp, udp, hosts: [], count: countPorts(tcp) + countPorts(udp) };
}

export function sameExternal(a: ExternalPorts, b: ExternalPorts): boolean {
  const hosts = a.hosts.length === b.hosts.length && a.hosts.every((host, at) => host === b.hosts[at]);
  return (
    hosts &&
    PROTOCOLS.every(
      (protocol) =>
        a[protocol].length === b[protocol].length &&
        a[protocol].every((span, n) => span.first === b[protocol][n]?.first && span.last === b[protocol][n]?.last),
    )
  );
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= MIN_PORT && value <= MAX_PORT;
}

function invalid(message: string): Result<never, Refusal> {
  return err({ kind: "invalid", message });
}
