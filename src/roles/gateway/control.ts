import type { HeldMapping, MappingBook } from "../../core/mapping/book.ts";
import { isPinhole, type MappingSpec } from "../../core/mapping/spec.ts";
import type { ReservedPort } from "../../core/policy.ts";
import type { PortSpan } from "../../core/port-spans.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import { flowKey, type OpenFlows } from "../../dataplanes/nat/conntrack.ts";
import type { NatUsage } from "../../dataplanes/nat/state.ts";
import { residentBytes } from "../../os/memory.ts";
import type { Store } from "../../store/store.ts";
import type { StoredVpnPeer } from "../../store/vpn-peers.ts";
import { isIpv6, parseAddress } from "../../wire/address.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import {
  ControlError,
  type Counters,
  type EventsRequest,
  type FollowedEvent,
  type ForwardInfo,
  type GatewayControl,
  type GatewayStatus,
  type MappingDraft,
  type ReloadReport,
  type VpnPeerReply,
} from "../control.ts";
import { NO_COUNTERS, V } from "../views.ts";
import { keyOf, type Run, runsOf } from "./entries.ts";
import type { GatewayKernel } from "./helper/kernel.ts";
import { type GatewayMappings, takenText } from "./mappings.ts";
import type { GatewayTriggers } from "./triggers.ts";
import { deviceOf, type GatewayVpn, peerInfo } from "./vpn.ts";

/** What the gateway's control looks at and works on. */
export interface GatewayView {
  readonly book: MappingBook;
  readonly mappings: GatewayMappings;
  readonly triggers: GatewayTriggers;
  readonly vpn: GatewayVpn;
  readonly kernel: Pick<GatewayKernel, "plane" | "openFlows">;
  readonly store: Pick<Store, "audit">;
  readonly version: string;
  readonly startedMs: number;
  nowMs(): number;
  wallMs(): number;
  facts(): Pick<GatewayStatus, "wan" | "lan" | "externalAddress" | "servers" | "vpn" | "warnings">;
  /** What visitors type; null while there is no such address. */
  externalAddress(): string | null;
  /** The kernel follows what the VPN's peers may now. Rejects with ControlError. */
  followPeers(): Promise<void>;
  /** Whether a mapping may lead there. */
  isInside(address: string): boolean;
  readonly resolver: Resolver;
  /** Never forwarded: see NatSettings. */
  snatPorts(): PortSpan;
  reserved(): readonly ReservedPort[];
  reload(): Promise<ReloadReport>;
  events(request: EventsRequest, signal: AbortSignal): AsyncIterable<FollowedEvent>;
  stop(options: { readonly clean: boolean }): Promise<void>;
}

export function gatewayControl(view: GatewayView): GatewayControl {
  return {
    status: () => status(view),
    async listForwards() {
      const traffic = await trafficOf(view);
      return [...view.book.list()].map((held) => forwardInfo(view, held, traffic));
    },
    async addMapping(draft) {
      const held = await addMapping(view, draft);
      return { ...V, forward: forwardInfo(view, held, NO_TRAFFIC) };
    },
    async removeForward(nameOrId) {
      const held = findOne(view, nameOrId);
      if (held.spec.origin === "config") {
        throw new ControlError("usage", `The mapping "${held.spec.name}" is in hatchway.toml: remove it there.`);
      }
      const info = forwardInfo(view, held, await trafficOf(view));
      await view.mappings.remove([held], "forgotten");
      return info;
    },
    listTriggers: async () => view.triggers.infos(await view.kernel.plane.openTriggers()),
    async addTrigger(draft) {
      await view.triggers.add(draft);
      return oneTrigger(view, draft.name);
    },
    async removeTrigger(name) {
      const before = view.triggers.infos(await view.kernel.plane.openTriggers());
      await view.triggers.remove(name);
      const removed = before.find((trigger) => trigger.name === name);
      if (removed === undefined) throw new ControlError("failed", `The trigger "${name}" was removed meanwhile.`);
      return removed;
    },
    vpnInit: async (request) => {
      const info = await view.vpn.init(request);
      await view.followPeers();
      return info;
    },
    vpnList: () => view.vpn.info((peer) => view.book.ofDevice(deviceOf(peer.id)).length),
    vpnAdd: async (draft) => peerReply(view, await view.vpn.add(draft)),
    vpnChange: async (nameOrId, change) => peerReply(view, await view.vpn.change(nameOrId, change)),
    vpnRotate: async (nameOrId, keys) => peerReply(view, await view.vpn.rotate(nameOrId, keys)),
    async vpnRemove(nameOrId) {
      const peer = await view.vpn.find(nameOrId);
      const held = view.book.ofDevice(deviceOf(peer.id));
      await view.mappings.remove(held, "forgotten");
      await view.vpn.remove(peer);
      await view.followPeers();
      return peerInfo(peer, null, held.length, view.wallMs());
    },
    reload: () => view.reload(),
    events: (request, signal) => view.events(request, signal),
    audit: (request) => view.store.audit.from(request),
    stop: (options) => view.stop(options),
  };
}

async function status(view: GatewayView): Promise<GatewayStatus> {
  const [traffic, dropped] = [await trafficOf(view), await view.kernel.plane.drops()];
  const held = [...view.book.list()];
  return {
    role: "gateway",
    ...V,
    version: view.version,
    pid: process.pid,
    startedMs: view.startedMs,
    memoryBytes: residentBytes(),
    forwardsOpen: held.filter(({ spec }) => spec.enabled).length,
    // By what the kernel counts: pinholes may share a port.
    counters: countersOf(runsOf(held), traffic),
    mappings: held.length,
    dropped: { ...dropped },
    ...view.facts(),
  };
}

/** The kernel has what the peer may when this resolves. */
async function peerReply(view: GatewayView, peer: StoredVpnPeer): Promise<VpnPeerReply> {
  await view.followPeers();
  const server = view.vpn.serverInfo();
  if (server === null) throw new ControlError("failed", "The VPN was removed meanwhile.");
  if (server.message !== null) throw new ControlError("failed", server.message);
  const forwards = view.book.ofDevice(deviceOf(peer.id)).length;
  return { ...V, peer: peerInfo(peer, null, forwards, view.wallMs()), server };
}

async function oneTrigger(view: GatewayView, name: string) {
  const found = view.triggers.infos(await view.kernel.plane.openTriggers()).find((trigger) => trigger.name === name);
  if (found === undefined) throw new ControlError("failed", `The trigger "${name}" was removed meanwhile.`);
  return found;
}

/** What the kernel counted, and what is open now. */
export interface Traffic {
  readonly usage: ReadonlyMap<string, NatUsage>;
  readonly open: OpenFlows;
}

const NO_TRAFFIC: Traffic = { usage: new Map(), open: new Map() };

export async function trafficOf(view: GatewayView): Promise<Traffic> {
  const [usage, open] = await Promise.all([view.mappings.usage(), view.kernel.openFlows()]);
  return { usage, open };
}

function countersOf(runs: readonly Run[], { usage, open }: Traffic): Counters {
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
function runsOfOne(view: GatewayView, held: HeldMapping): Run[] {
  if (!isPinhole(held.spec)) return runsOf([held]);
  return runsOf(view.book.ofDevice(held.owner.device)).filter(({ holders }) => holders.includes(held));
}

function forwardInfo(view: GatewayView, held: HeldMapping, traffic: Traffic): ForwardInfo {
  const { spec, owner } = held;
  const leftMs = view.book.remainingMs(held, view.nowMs());
  const host = isPinhole(spec) ? spec.to : view.externalAddress();
  return {
    id: keyOf(held),
    name: spec.name,
    type: "mapping",
    origin: spec.origin,
    device: view.vpn.peerOf(owner.device)?.name ?? owner.device,
    group: null,
    ...stateOf(view, held),
    endpoints: spec.ports.map(({ protocol, first, last, internalFirst }) => ({
      protocol,
      host: host ?? "*",
      port: first,
      lastPort: last,
      internalHost: spec.to,
      internalPort: internalFirst,
    })),
    via: "kernel",
    leaseEndsMs: leftMs === null ? null : Math.ceil(view.wallMs() + leftMs),
    counters: countersOf(runsOfOne(view, held), traffic),
  };
}

function stateOf(view: GatewayView, { spec }: HeldMapping): Pick<ForwardInfo, "state" | "message"> {
  if (!spec.enabled) return { state: "disabled", message: "It is disabled." };
  const message = view.vpn.closedBy(spec);
  return { state: message === null ? "open" : "disabled", message };
}

/** By id, or by a name that only one has. */
function findOne(view: GatewayView, nameOrId: string): HeldMapping {
  const found = view.book.find((held) => keyOf(held) === nameOrId);
  const named = found.length > 0 ? found : view.book.find(({ spec }) => spec.name === nameOrId);
  const [first, second] = named;
  if (first === undefined) {
    throw new ControlError("usage", `There is no forward "${nameOrId}": see \`hatchway forward ls\`.`);
  }
  if (second === undefined) return first;
  const ids = named.map((held) => keyOf(held)).join(", ");
  throw new ControlError("usage", `Several forwards are called "${nameOrId}"; name one of them by its id: ${ids}.`);
}

async function addMapping(view: GatewayView, draft: MappingDraft): Promise<HeldMapping> {
  const made = await fixedSpec(view, draft, "cli");
  if (typeof made === "string") throw new ControlError("usage", made);
  const before = view.book.get(view.book.ownerOf(made.to).device, made.id);
  if (before?.spec.origin === "config") {
    throw new ControlError("usage", `The mapping "${made.name}" is in hatchway.toml: change it there.`);
  }
  // The same name with another client is the same mapping, led elsewhere.
  const elsewhere = view.book.find(({ spec }) => spec.id === made.id && spec.origin === "cli" && spec.to !== made.to);
  await view.mappings.remove(elsewhere, "forgotten");
  const put = view.book.put(made, view.nowMs());
  if (put.ok) {
    await view.mappings.carryOut(put.value);
    return put.value.forward;
  }
  for (const { spec } of elsewhere) {
    const back = view.book.put(spec, view.nowMs());
    if (back.ok) await view.mappings.carryOut(back.value);
  }
  throw new ControlError("failed", takenText(put.error));
}

/** The client's address by what people call it: an address, a VPN peer's name, a host's name that the system knows. */
async function addressOf(
  { vpn, isInside, resolver }: Pick<GatewayView, "vpn" | "isInside" | "resolver">,
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

/** A mapping of the operator's, or a sentence that says why it cannot be. */
export async function fixedSpec(
  view: Pick<GatewayView, "vpn" | "isInside" | "reserved" | "resolver" | "snatPorts">,
  draft: MappingDraft,
  origin: "cli" | "config",
): Promise<MappingSpec | string> {
  const to = await addressOf(view, draft.to, draft.ports);
  if (to === null) {
    return `No client is called "${draft.to}": write its address, or a name that leads to it (a VPN peer's: \`hatchway vpn ls\`).`;
  }
  if (!view.isInside(to)) return `${to} is in no network of the gateway's clients: name one of its LAN or VPN.`;
  const closed = view.vpn.closedBy({ to, ports: draft.ports });
  if (closed !== null && draft.enabled) return closed;
  const taken = isIpv6(to) ? null : needed(draft.ports, view.reserved());
  if (taken !== null) {
    return `Port ${taken.port}/${taken.protocol} is ${taken.purpose}: choose another outside port.`;
  }
  const { first, last } = view.snatPorts();
  const outgoing = draft.ports.find((ports) => ports.first <= last && first <= ports.last);
  if (outgoing !== undefined && !to.includes(":")) {
    return `Ports ${first}-${last} are for what clients send out: choose another than ${outgoing.first}, or set snat-ports in [gateway].`;
  }
  return {
    ...draft,
    group: null,
    to,
    requester: null,
    origin,
    askedInternalPort: draft.ports[0]?.internalFirst ?? 0,
    nonce: null,
  };
}

function needed(ports: readonly PortMapping[], reserved: readonly ReservedPort[]): ReservedPort | null {
  return (
    reserved.find((one) =>
      ports.some(({ protocol, first, last }) => protocol === one.protocol && first <= one.port && one.port <= last),
    ) ?? null
  );
}
