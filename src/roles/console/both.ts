import {
  ApiFailure,
  type ForwardsBackend,
  type Page,
  type PageRequest,
  type Principal,
} from "../../servers/api/backend.ts";
import type { Device, Forward, ForwardDraft, Overview, VpnPeer } from "../../servers/api/schema.ts";
import { parseAddress } from "../../wire/address.ts";
import { sumCounters } from "../views.ts";
import type { GatewayBeside } from "./beside.ts";
import { partsOfId } from "./forwards.ts";
import { liveEvents } from "./live.ts";

export interface BothOptions {
  readonly relay: ForwardsBackend;
  readonly beside: GatewayBeside;
  wallMs(): number;
  readonly signal: AbortSignal;
}

/** Of cursors: the page after is the gateway's. */
const GATEWAYS = "g.";
const RELAYS = "r.";
const ALL_PAGES = 500;

/**
 * A relay's forwards and devices, and behind them a gateway's: lists go on from the one to the other, and an id says whose it
 * is. What is written down and audited is one store's.
 */
export function bothBackends({ relay, beside, wallMs, signal }: BothOptions): ForwardsBackend {
  const gateway = beside.forwards;
  const ofForward = (id: string): ForwardsBackend => (isGateways(partsOfId(id)?.device ?? "") ? gateway : relay);
  const ofDevice = (id: string): ForwardsBackend => (isGateways(id) ? gateway : relay);
  const ofDraft = async (who: Principal, { device }: ForwardDraft): Promise<ForwardsBackend> =>
    isGateways(device) || !(await has(relay, who, device)) ? gateway : relay;
  return {
    async overview(who) {
      return together(await relay.overview(who), await gateway.overview(who));
    },
    listForwards: (who, page, filter) =>
      joined(
        page,
        (one) => relay.listForwards(who, one, filter),
        (one) => gateway.listForwards(who, one, filter),
      ),
    getForward: (who, id) => ofForward(id).getForward(who, id),
    previewForward: async (who, draft, replaces) => (await ofDraft(who, draft)).previewForward(who, draft, replaces),
    addForward: async (who, draft, replace) => (await ofDraft(who, draft)).addForward(who, draft, replace),
    changeForward: (who, id, patch, version) => ofForward(id).changeForward(who, id, patch, version),
    removeForward: (who, id, version) => ofForward(id).removeForward(who, id, version),
    checkForward: (who, id) => ofForward(id).checkForward(who, id),
    listDevices: (who, page) =>
      joined(
        page,
        (one) => relay.listDevices(who, one),
        (one) => gateway.listDevices(who, one),
      ),
    getDevice: (who, id) => ofDevice(id).getDevice(who, id),
    removeDevice: (who, id) => ofDevice(id).removeDevice(who, id),
    makeJoinCode: (who, draft) => relay.makeJoinCode(who, draft),
    listVisits: (who, page) =>
      joined(
        page,
        (one) => relay.listVisits(who, one),
        (one) => gateway.listVisits(who, one),
      ),
    endVisit: (who, id) => ofForward(forwardOfVisit(id)).endVisit(who, id),
    traffic: (who, query) => relay.traffic(who, query),
    listAudit: (who, page) => relay.listAudit(who, page),
    events: (who, ended) =>
      liveEvents({
        forwards: async () => [
          ...(await all<Forward>((page) => relay.listForwards(who, page, EVERY))),
          ...(await all<Forward>((page) => gateway.listForwards(who, page, EVERY))),
        ],
        devices: async () => [
          ...(await all<Device>((page) => relay.listDevices(who, page))),
          ...(await all<Device>((page) => gateway.listDevices(who, page))),
        ],
        peers: () => all<VpnPeer>((page) => beside.gateway.listVpnPeers(who, page)),
        triggers: () => beside.gateway.listTriggers(who),
        nowMs: wallMs,
        signal: AbortSignal.any([ended, signal]),
      }),
  };
}

/** The forward's id in that of a visit. */
function forwardOfVisit(id: string): string {
  return id.slice(0, Math.max(0, id.lastIndexOf("/")));
}

const EVERY = { device: null, text: null };

/** A gateway's devices are VPN peers, and hosts by their addresses; a relay's have ids that are neither. */
function isGateways(device: string): boolean {
  return device.startsWith("vpn-") || parseAddress(device).ok;
}

async function has(relay: ForwardsBackend, who: Principal, device: string): Promise<boolean> {
  const devices = await all<Device>((page) => relay.listDevices(who, page));
  return devices.some(({ id, name }) => id === device || name === device);
}

function together(relay: Overview, gateway: Overview): Overview {
  return {
    ...relay,
    roles: ["relay", "gateway"],
    gateway: gateway.gateway,
    devices: {
      connected: relay.devices.connected + gateway.devices.connected,
      enrolled: relay.devices.enrolled + gateway.devices.enrolled,
    },
    forwards: { open: relay.forwards.open + gateway.forwards.open, all: relay.forwards.all + gateway.forwards.all },
    counters: sumCounters([relay.counters, gateway.counters]),
  };
}

/** The second list begins where the first ends, in the middle of a page too. */
async function joined<T>(
  { limit, cursor }: PageRequest,
  first: (page: PageRequest) => Promise<Page<T>>,
  second: (page: PageRequest) => Promise<Page<T>>,
): Promise<Page<T>> {
  const behind = async (items: readonly T[], from: string | null): Promise<Page<T>> => {
    const page = await second({ limit: limit - items.length, cursor: from });
    return { items: [...items, ...page.items], next: page.next === null ? null : `${GATEWAYS}${page.next}` };
  };
  if (cursor?.startsWith(GATEWAYS) === true) return behind([], cursor.slice(GATEWAYS.length) || null);
  if (cursor !== null && !cursor.startsWith(RELAYS))
    throw new ApiFailure("invalid", "The cursor is not one of this list: begin without one.");
  const page = await first({ limit, cursor: cursor === null ? null : cursor.slice(RELAYS.length) });
  if (page.next !== null) return { items: page.items, next: `${RELAYS}${page.next}` };
  return page.items.length >= limit ? { items: page.items, next: GATEWAYS } : behind(page.items, null);
}

async function all<T>(list: (page: PageRequest) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: Page<T> = await list({ limit: ALL_PAGES, cursor });
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = page.next;
  }
}
