import type { HeldMapping } from "../../core/mapping/book.ts";
import { residentBytes } from "../../os/memory.ts";
import type { StoredVpnPeer } from "../../store/vpn-peers.ts";
import { inWordsOfCommands } from "../change.ts";
import {
  ControlError,
  type EventsRequest,
  type FollowedEvent,
  type ForwardPatch,
  type GatewayControl,
  type GatewayStatus,
  type MappingDraft,
  type ReloadReport,
  type VpnPeerReply,
} from "../control.ts";
import { type PeopleView, peopleControl } from "../people.ts";
import { byAge, V } from "../views.ts";
import { keyOf, runsOf } from "./entries.ts";
import { type FixedView, fixedSpec, putFixed } from "./fixed.ts";
import { countersOf, forwardInfo, type InfoView, NO_TRAFFIC, trafficOf } from "./forward-info.ts";
import { type GatewayPeers, isPeersOwn, type PeersView } from "./peers.ts";
import type { GatewayTriggers } from "./triggers.ts";
import { throughInfo, visitsThrough } from "./visit-info.ts";
import { deviceOf, peerInfo } from "./vpn.ts";

/** What the gateway's control looks at and works on. */
export interface GatewayView extends FixedView, InfoView, PeersView, PeopleView {
  readonly triggers: GatewayTriggers;
  readonly peers: GatewayPeers;
  readonly version: string;
  readonly startedMs: number;
  facts(): Pick<GatewayStatus, "wan" | "lan" | "externalAddress" | "servers" | "vpn" | "warnings">;
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
    async changeForward(nameOrId, patch) {
      const held = await changeMapping(view, findOne(view, nameOrId), patch);
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
    vpnAdd: async (draft) => peerReply(view, await view.peers.add(draft)),
    vpnChange: async (nameOrId, change) => peerReply(view, await view.peers.change(nameOrId, change)),
    vpnRotate: async (nameOrId, keys) => peerReply(view, await view.peers.rotate(nameOrId, keys)),
    async vpnRemove(nameOrId) {
      const { peer, forwards } = await view.peers.remove(nameOrId);
      return peerInfo(peer, null, forwards, view.wallMs());
    },
    ...peopleControl(view),
    reload: () => view.reload(),
    async visits() {
      const through = visitsThrough(view, await view.kernel.visits());
      return through.map((one) => throughInfo(one, `${one.device}/${one.specId}`)).toSorted(byAge);
    },
    events: (request, signal) => view.events(request, signal),
    audit: (request) => view.store.audit.from(request),
    stop: (options) => view.stop(options),
  };
}

export async function status(view: GatewayView): Promise<GatewayStatus> {
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

function peerReply(view: GatewayView, peer: StoredVpnPeer): VpnPeerReply {
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

/** As the API changes it (roles/console/gateway-forwards.ts). */
async function changeMapping(view: GatewayView, held: HeldMapping, patch: ForwardPatch): Promise<HeldMapping> {
  const { id, name, origin, requester } = held.spec;
  if (origin === "config") {
    throw new ControlError("usage", `The mapping "${name}" is in hatchway.toml: change it there.`);
  }
  if (requester !== null) {
    throw new ControlError("usage", `An app at ${requester} asked for "${name}": change it there, or remove it.`);
  }
  if (isPeersOwn(held)) {
    throw new ControlError("usage", `"${name}" goes by what its VPN peer may have: \`hatchway vpn set\` changes that.`);
  }
  const { patchedDraft } = await import("../console/gateway-drafts.ts");
  const made = await fixedSpec(view, await inWordsOfCommands(() => patchedDraft(held.spec, patch)), "cli");
  if (!made.ok) throw made.error;
  return await putFixed(view, { ...made.value, id, origin });
}

/** Opens a mapping of the operator's, or changes the one of its id: the same name with another client is led elsewhere. */
async function addMapping(view: GatewayView, draft: MappingDraft): Promise<HeldMapping> {
  const made = await fixedSpec(view, draft, "cli");
  if (!made.ok) throw made.error;
  const spec = made.value;
  const before = view.book.get(view.book.ownerOf(spec.to).device, spec.id);
  if (before?.spec.origin === "config") {
    throw new ControlError("usage", `The mapping "${spec.name}" is in hatchway.toml: change it there.`);
  }
  const elsewhere = view.book.find(
    (one) => one.spec.id === spec.id && one.spec.origin === "cli" && one.spec.to !== spec.to,
  );
  await view.mappings.remove(elsewhere, "forgotten");
  try {
    return await putFixed(view, spec);
  } catch (error) {
    for (const one of elsewhere) {
      const back = view.book.put(one.spec, view.nowMs());
      if (back.ok) await view.mappings.carryOut(back.value);
    }
    throw error;
  }
}
