import type { HeldMapping } from "../../core/mapping/book.ts";
import { isPinhole } from "../../core/mapping/spec.ts";
import { flowKey, type OpenFlows } from "../../dataplanes/nat/conntrack.ts";
import type { NatUsage } from "../../dataplanes/nat/state.ts";
import type { Counters, ForwardInfo } from "../control.ts";
import { NO_COUNTERS } from "../views.ts";
import { keyOf, type Run, runsOf } from "./entries.ts";
import type { OpeningView } from "./fixed.ts";
import type { GatewayKernel } from "./helper/kernel.ts";
import type { GatewayVpn } from "./vpn.ts";

/** By what it is told how a mapping is. */
export interface InfoView extends OpeningView {
  readonly vpn: GatewayVpn;
  readonly kernel: Pick<GatewayKernel, "plane" | "openFlows" | "visits" | "endVisit">;
  wallMs(): number;
  /** What visitors type; null while there is no such address. */
  externalAddress(): string | null;
}

/** What the kernel counted, and what is open now. */
export interface Traffic {
  readonly usage: ReadonlyMap<string, NatUsage>;
  readonly open: OpenFlows;
}

export const NO_TRAFFIC: Traffic = { usage: new Map(), open: new Map() };

export async function trafficOf(view: InfoView): Promise<Traffic> {
  const [usage, open] = await Promise.all([view.mappings.usage(), view.kernel.openFlows()]);
  return { usage, open };
}

export function countersOf(runs: readonly Run[], { usage, open }: Traffic): Counters {
  const sum = { ...NO_COUNTERS };
  for (const run of runs) {
    const one = usage.get(run.id);
    sum.visitorsOpen += openFlowsOf(run, open);
    sum.visitorsTotal += one?.visitorsTotal ?? 0;
    sum.bytesIn += one?.bytesIn ?? 0;
    sum.bytesOut += one?.bytesOut ?? 0;
  }
  return sum;
}

export function openFlowsOf({ protocol, first, last, to }: Run, open: OpenFlows): number {
  let flows = 0;
  for (let port = first; open.size > 0 && port <= last; port++) flows += open.get(flowKey(protocol, port, to)) ?? 0;
  return flows;
}

/** Its own; a port that several pinholes share is in each. */
export function runsOfOne(view: InfoView, held: HeldMapping): Run[] {
  if (!isPinhole(held.spec)) return runsOf([held]);
  return runsOf(view.book.ofDevice(held.owner.device)).filter(({ holders }) => holders.includes(held));
}

export function forwardInfo(view: InfoView, held: HeldMapping, traffic: Traffic): ForwardInfo {
  const { spec } = held;
  return {
    id: keyOf(held),
    name: spec.name,
    type: "mapping",
    origin: spec.origin,
    device: deviceName(view, held),
    group: null,
    ...stateOf(view, held),
    endpoints: endpointsOf(view, held),
    via: "kernel",
    leaseEndsMs: leaseEndsMs(view, held),
    counters: countersOf(runsOfOne(view, held), traffic),
  };
}

/** What people call who it leads to. */
export function deviceName(view: Pick<InfoView, "vpn">, { owner }: HeldMapping): string {
  return view.vpn.peerOf(owner.device)?.name ?? owner.device;
}

export function endpointsOf(view: Pick<InfoView, "externalAddress">, { spec }: HeldMapping): ForwardInfo["endpoints"] {
  const host = isPinhole(spec) ? spec.to : view.externalAddress();
  return spec.ports.map(({ protocol, first, last, internalFirst }) => ({
    protocol,
    host: host ?? "*",
    port: first,
    lastPort: last,
    internalHost: spec.to,
    internalPort: internalFirst,
  }));
}

/** Unix time; null = it is permanent. */
export function leaseEndsMs({ book, nowMs, wallMs }: InfoView, held: HeldMapping): number | null {
  const leftMs = book.remainingMs(held, nowMs());
  return leftMs === null ? null : Math.ceil(wallMs() + leftMs);
}

export function stateOf(
  view: Pick<InfoView, "vpn">,
  { spec }: HeldMapping,
): { readonly state: "open" | "disabled"; readonly message: string | null } {
  if (!spec.enabled) return { state: "disabled", message: "It is disabled." };
  const message = view.vpn.closedBy(spec);
  return { state: message === null ? "open" : "disabled", message };
}
