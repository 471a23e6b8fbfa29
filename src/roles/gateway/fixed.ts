import type { HeldMapping, MappingBook } from "../../core/mapping/book.ts";
import { isPinhole, type MappingSpec } from "../../core/mapping/spec.ts";
import type { ReservedPort } from "../../core/policy.ts";
import type { PortSpan } from "../../core/port-spans.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import { parseAddress } from "../../wire/address.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { MappingDraft } from "../control.ts";
import { type GatewayMappings, takenText } from "./mappings.ts";
import { GatewayRefused } from "./refused.ts";
import type { GatewayVpn } from "./vpn.ts";

/** By what it is judged whether people may open a mapping. */
export interface FixedView extends PortsView {
  readonly vpn: GatewayVpn;
  /** Whether a mapping may lead there. */
  isInside(address: string): boolean;
  readonly resolver: Resolver;
}

/** What the gateway itself needs. */
export interface PortsView {
  /** Never forwarded: see NatSettings. */
  snatPorts(): PortSpan;
  reserved(): readonly ReservedPort[];
}

/** By what a mapping is opened. */
export interface OpeningView {
  readonly book: MappingBook;
  readonly mappings: GatewayMappings;
  /** Monotonic. */
  nowMs(): number;
}

/** The client's address by what people call it: an address, a VPN peer's name, a host's name that the system knows. */
async function addressOf(
  { vpn, isInside, resolver }: FixedView,
  to: string,
  ports: readonly PortMapping[],
): Promise<string | null> {
  const address = parseAddress(to);
  if (address.ok) return address.value;
  const peer = vpn.byName(to);
  if (peer !== null) return peer.v4;
  const found = (await resolver.resolve(to)).filter(isInside);
  // IPv6 is not translated: a name with both has to mean the other one then.
  const translated = ports.some(({ first, internalFirst }) => first !== internalFirst);
  return found.find((one) => !one.includes(":")) ?? (translated ? null : (found[0] ?? null));
}

/** A mapping that people make, or why it cannot be. */
export async function fixedSpec(
  view: FixedView,
  draft: MappingDraft,
  origin: "cli" | "config" | "api",
): Promise<Result<MappingSpec, GatewayRefused>> {
  const to = await addressOf(view, draft.to, draft.ports);
  if (to === null) {
    const message = `No client is called "${draft.to}": write its address, or a name that leads to it (a VPN peer's: \`hatchway vpn ls\`).`;
    return err(new GatewayRefused("client", message));
  }
  if (!view.isInside(to)) {
    const message = `${to} is in no network of the gateway's clients: name one of its LAN or VPN.`;
    return err(new GatewayRefused("client", message));
  }
  const closed = view.vpn.closedBy({ to, ports: draft.ports });
  if (closed !== null && draft.enabled) return err(new GatewayRefused("closed", closed));
  const refusal = portRefusal(view, { to, ports: draft.ports });
  return refusal === null ? ok(specOf(draft, to, origin)) : err(refusal);
}

/** The mappings of the configuration; what is wrong with one is told, and the others stand. */
export async function fixedSpecs(
  view: FixedView,
  drafts: readonly MappingDraft[],
  tell: (sentence: string) => void,
): Promise<MappingSpec[]> {
  const made = await Promise.all(drafts.map((draft) => fixedSpec(view, draft, "config")));
  return made.flatMap((spec, at) => {
    if (spec.ok) return [spec.value];
    tell(`mapping "${drafts[at]?.name}": ${spec.error.message}`);
    return [];
  });
}

/** As people make it: no protocol changes or deletes it. */
export function specOf(draft: Omit<MappingDraft, "to">, to: string, origin: "cli" | "config" | "api"): MappingSpec {
  const asked = draft.ports[0]?.internalFirst ?? 0;
  return { ...draft, group: null, to, requester: null, origin, askedInternalPort: asked, nonce: null };
}

/** Why the gateway itself needs one of the ports; null = it does not. */
export function portRefusal(view: PortsView, { to, ports }: Pick<MappingSpec, "to" | "ports">): GatewayRefused | null {
  // By IPv6 nothing is translated: the ports are the client's own.
  if (isPinhole({ to })) return null;
  const needed = neededPort(ports, view.reserved());
  if (needed !== null) {
    const message = `Port ${needed.port}/${needed.protocol} is ${needed.purpose}: choose another outside port.`;
    return new GatewayRefused("reserved", message);
  }
  const { first, last } = view.snatPorts();
  const outgoing = ports.find((range) => range.first <= last && first <= range.last);
  if (outgoing === undefined) return null;
  const message = `Ports ${first}-${last} are for what clients send out: choose another than ${outgoing.first}, or set snat-ports in [gateway].`;
  return new GatewayRefused("reserved", message);
}

function neededPort(ports: readonly PortMapping[], reserved: readonly ReservedPort[]): ReservedPort | null {
  return (
    reserved.find((one) =>
      ports.some(({ protocol, first, last }) => protocol === one.protocol && first <= one.port && one.port <= last),
    ) ?? null
  );
}

/** Opens it, or changes what has its id. Rejects with GatewayRefused `taken` when another forward has one of the ports. */
export async function putFixed(
  { book, mappings, nowMs }: OpeningView,
  spec: MappingSpec,
  actor?: string,
): Promise<HeldMapping> {
  const put = book.put(spec, nowMs());
  if (!put.ok) throw new GatewayRefused("taken", takenText(put.error));
  await mappings.carryOut(put.value, actor);
  return put.value.forward;
}
