import { classifyAddress, isIpv6 } from "../../wire/address.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { countPorts } from "../port-spans.ts";
import { findClashes, type PortWish } from "./wish.ts";

/** Each port is a mapping of its own at a router, and home routers have room for few hundred (miniupnpd keeps a list). */
export const MAX_PORT_WISHES = 256;

/** A port set that is to be open at the router. */
export interface PortPlan {
  readonly ports: readonly PortMapping[];
  /** What to open it in; a `host` of one family leaves the other out. */
  readonly families: readonly (4 | 6)[];
  /** Whom the router forwards to: an address; null = this machine. */
  readonly host: string | null;
  /** The external ports as they are written, or none. A range is always kept so: moved, it is of no use. */
  readonly samePort: boolean;
  /** Null = for good, as far as the router has that. */
  readonly lifetimeSec: number | null;
  readonly description: string;
}

/** One wish for each port and family; the error is a sentence. IPv6 is not translated: there the internal port is open. */
export function planWishes(plan: PortPlan): Result<readonly PortWish[], string> {
  const { host, ports } = plan;
  if (plan.families.length === 0) return err("Choose IPv4, IPv6 or both.");
  const problem = host === null ? null : hostProblem(host);
  if (problem !== null) return err(problem);
  const families = ([4, 6] as const).filter(
    (family) => plan.families.includes(family) && (host === null || isIpv6(host) === (family === 6)),
  );
  if (families.length === 0)
    return err(`${host} is an IPv${plan.families.includes(4) ? 6 : 4} address: allow that family.`);
  const count = countPorts(ports) * families.length;
  if (count > MAX_PORT_WISHES) return err(tooMany(count, families.length));
  const wishes = families.flatMap((family) => ports.flatMap((mapping) => wishesOf(mapping, family, plan)));
  for (const clash of findClashes(wishes).values()) return err(clash);
  return ok(wishes);
}

function wishesOf({ protocol, first, last, internalFirst }: PortMapping, family: 4 | 6, plan: PortPlan): PortWish[] {
  const { host, lifetimeSec, description } = plan;
  const exact = family === 6 || plan.samePort || last > first;
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const internalPort = internalFirst + index;
    const externalPort = family === 6 ? internalPort : first + index;
    return { family, protocol, host, internalPort, externalPort, exact, lifetimeSec, description };
  });
}

function hostProblem(host: string): string | null {
  const kind = classifyAddress(host);
  switch (kind) {
    case "loopback":
    case "unspecified":
      return `A router cannot forward to ${host}: leave the host out to mean this machine.`;
    case "multicast":
      return `A router cannot forward to ${host}, a group of hosts: name one host.`;
    case "link-local":
      return `A router does not forward to ${host}, a link-local address: use another one of that host.`;
    case "public":
    case "private":
    case "metadata":
    case "reserved":
      return null;
    default:
      return kind satisfies never;
  }
}

function tooMany(count: number, families: number): string {
  const what = families === 1 ? "one for each port" : "one for each port in IPv4 and in IPv6";
  return `That is ${count} mappings, ${what}, and routers have room for ${MAX_PORT_WISHES}: open fewer ports, or use a relay (hatchway expose --via relay).`;
}
