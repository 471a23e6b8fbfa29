import type { Device, Forward, LiveEvent, Trigger, VpnPeer } from "../../servers/api/schema.ts";

/** Of one second. */
export interface TrafficPoint {
  readonly atMs: number;
  readonly visitorsOpen: number;
  readonly bytesInPerSec: number;
  readonly bytesOutPerSec: number;
}

export interface LiveData {
  /** Null = not read yet. */
  readonly forwards: readonly Forward[] | null;
  readonly devices: readonly Device[] | null;
  /** Null also when the server is no gateway. */
  readonly peers: readonly VpnPeer[] | null;
  readonly triggers: readonly Trigger[] | null;
  /** Every page of every list has been read. */
  readonly complete: boolean;
  /** The last minute, oldest first. */
  readonly traffic: readonly TrafficPoint[];
}

export const NOTHING_YET: LiveData = {
  forwards: null,
  devices: null,
  peers: null,
  triggers: null,
  complete: false,
  traffic: [],
};
export const TRAFFIC_POINTS = 60;
const SECOND_MS = 1_000;

type Traffic = Extract<LiveEvent, { readonly event: "traffic" }>;

/** The one with its id is replaced where it stands; a new one comes last. */
function put<T extends { readonly id: string }>(items: readonly T[], item: T): readonly T[] {
  const index = items.findIndex(({ id }) => id === item.id);
  return index < 0 ? [...items, item] : items.with(index, item);
}

function drop<T extends { readonly id: string }>(items: readonly T[], gone: string): readonly T[] {
  return items.filter(({ id }) => id !== gone);
}

/** What lists were not read yet, an event does not begin: they would look complete. */
export function applyEvent(data: LiveData, event: LiveEvent): LiveData {
  const { forwards, devices, peers, triggers } = data;
  switch (event.event) {
    case "forward":
      return forwards === null ? data : { ...data, forwards: put(forwards, event.forward) };
    case "forward-gone":
      return forwards === null ? data : { ...data, forwards: drop(forwards, event.id) };
    case "device":
      return devices === null ? data : { ...data, devices: put(devices, event.device) };
    case "device-gone":
      return devices === null ? data : { ...data, devices: drop(devices, event.id) };
    case "vpn-peer":
      return peers === null ? data : { ...data, peers: put(peers, event.peer) };
    case "vpn-peer-gone":
      return peers === null ? data : { ...data, peers: drop(peers, event.id) };
    case "trigger":
      return triggers === null ? data : { ...data, triggers: put(triggers, event.trigger) };
    case "trigger-gone":
      return triggers === null ? data : { ...data, triggers: drop(triggers, event.id) };
    case "traffic":
      return forwards === null ? data : countTraffic({ ...data, forwards }, event);
    default:
      return event satisfies never;
  }
}

function countTraffic(data: LiveData & { readonly forwards: readonly Forward[] }, event: Traffic): LiveData {
  const now = new Map(event.forwards.map((item) => [item.id, item]));
  let bytesIn = 0;
  let bytesOut = 0;
  const forwards = data.forwards.map((forward) => {
    const item = now.get(forward.id);
    if (item === undefined) return forward;
    const { counters } = forward;
    // Counters begin again from zero when a forward does.
    bytesIn += Math.max(0, item.bytesIn - counters.bytesIn);
    bytesOut += Math.max(0, item.bytesOut - counters.bytesOut);
    const { visitorsOpen, visitorsTotal } = item;
    const same =
      counters.visitorsOpen === visitorsOpen &&
      counters.visitorsTotal === visitorsTotal &&
      counters.bytesIn === item.bytesIn &&
      counters.bytesOut === item.bytesOut;
    if (same) return forward;
    const { id: _, ...counted } = item;
    return { ...forward, counters: { ...counters, ...counted } };
  });
  const before = data.traffic.at(-1);
  const seconds = before === undefined ? null : Math.max(1, (event.atMs - before.atMs) / SECOND_MS);
  const point: TrafficPoint = {
    atMs: event.atMs,
    visitorsOpen: event.visitorsOpen,
    // The first event has nothing to compare with: what it holds is since the start.
    bytesInPerSec: seconds === null ? 0 : bytesIn / seconds,
    bytesOutPerSec: seconds === null ? 0 : bytesOut / seconds,
  };
  return { ...data, forwards, traffic: [...data.traffic, point].slice(-TRAFFIC_POINTS) };
}
