import type { MetricPage } from "../../core/metrics/catalogue.ts";
import { ForwardSeries, type Series, type SeriesRow } from "../../core/metrics/series.ts";
import type { ForwardCounters } from "../../dataplanes/io/counters.ts";
import type { Store } from "../../store/store.ts";
import type { ForwardState } from "../control.ts";
import { type MetricSource, nextTurn } from "../metrics/page.ts";
import { sumCounters, totalsOf } from "../views.ts";
import type { RelayView } from "./control.ts";
import type { RelayDials } from "./dials.ts";
import { forwardState } from "./forward-state.ts";
import type { RelayForwards } from "./forwards.ts";

/** Wrong credentials since the start. */
export interface RefusedCredentials {
  devices: number;
  people: number;
}

export interface RelayMetricsOptions {
  readonly relay: Pick<RelayView, "session" | "certificateOf"> & {
    readonly store: { readonly devices: Pick<Store["devices"], "list"> };
    readonly forwards: Pick<RelayForwards, "list" | "get" | "entryOf" | "deviceName" | "total" | "assignments">;
    readonly dials: Pick<RelayDials, "visits">;
  };
  readonly refused: Readonly<RefusedCredentials>;
  /** Of the agent port, now. */
  tunnel(): { readonly sessions: number; readonly pending: number };
}

const MS_PER_SEC = 1_000;
/** Forwards that are looked at in one turn of the event loop: some 2 ms, so that no visitor waits for a scrape. */
const TURN_FORWARDS = 1_000;
const STATES: readonly ForwardState[] = ["open", "waiting", "away", "disabled", "refused", "unhealthy"];

/** What a relay tells a scrape. O(forwards). */
export function relayMetrics({ relay, refused, tunnel }: RelayMetricsOptions): MetricSource {
  const series = new ForwardSeries();
  return async (page) => {
    const devices = await relay.store.devices.list();
    page.add("hatchway_relay_devices_enrolled", devices.length, {});
    const connected = devices.filter(({ id }) => relay.session(id) !== undefined).length;
    page.add("hatchway_relay_devices_connected", connected, {});
    const { sessions, pending } = tunnel();
    page.add("hatchway_relay_sessions", sessions, {});
    page.add("hatchway_relay_handshakes_pending", pending, {});
    page.add("hatchway_relay_credentials_refused_total", refused.devices, { kind: "device" });
    page.add("hatchway_relay_credentials_refused_total", refused.people, { kind: "person" });
    addTotals(page, relay);
    await addForwards(page, relay, series);
  };
}

/** In one turn: what retires between two looks would be counted twice, or not at all. */
function addTotals(page: MetricPage, { forwards, dials }: RelayMetricsOptions["relay"]): void {
  const total = sumCounters([forwards.total(), totalsOf(dials.visits.counters)]);
  page.add("hatchway_relay_visitors_open", total.visitorsOpen, {});
  page.add("hatchway_relay_visitors_total", total.visitorsTotal, {});
  page.add("hatchway_relay_traffic_bytes_total", total.bytesIn, { direction: "in" });
  page.add("hatchway_relay_traffic_bytes_total", total.bytesOut, { direction: "out" });
  for (const [reason, count] of Object.entries(total.refused)) {
    page.add("hatchway_relay_refusals_total", count, { reason });
  }
  page.add("hatchway_relay_datagrams_dropped_total", total.datagramsDropped, {});
}

async function addForwards(
  page: MetricPage,
  relay: RelayMetricsOptions["relay"],
  series: ForwardSeries,
): Promise<void> {
  const { forwards } = relay;
  const all = [...forwards.list()];
  const states = new Map<ForwardState, number>(STATES.map((state) => [state, 0]));
  const round = series.begin();
  for (const [at, forward] of all.entries()) {
    if (at > 0 && at % TURN_FORWARDS === 0) await nextTurn();
    const { owner, spec } = forward;
    // Gone meanwhile.
    if (forwards.get(owner.device, spec.id) !== forward) continue;
    const { state } = forwardState(forward, relay);
    states.set(state, (states.get(state) ?? 0) + 1);
    const counters = forwards.entryOf(forward)?.entry?.visits.counters ?? null;
    round.add(rowOf(spec.name, forwards.deviceName(owner.device), state === "open", counters));
  }
  await nextTurn();
  const { series: each, unlisted } = round.end();
  for (const [state, count] of states) page.add("hatchway_relay_forwards", count, { state });
  page.add("hatchway_relay_forwards_unlisted", unlisted, {});
  for (const one of each) addSeries(page, one);
}

const NOTHING = { visitorsTotal: 0, visitorsOpen: 0, bytesIn: 0, bytesOut: 0, refusedTotal: 0, datagramsDropped: 0 };

function rowOf(forward: string, device: string, isUp: boolean, counters: ForwardCounters | null): SeriesRow {
  const counts = counters ?? NOTHING;
  return {
    forward,
    device,
    source: counters,
    counts,
    visitorsOpen: counts.visitorsOpen,
    isUp,
    answerMs: () => counters?.answerMs() ?? null,
  };
}

function addSeries(page: MetricPage, one: Series): void {
  const labels = { forward: one.forward, device: one.device };
  if (one.isUp !== null) page.add("hatchway_relay_forward_up", one.isUp ? 1 : 0, labels);
  page.add("hatchway_relay_forward_visitors_open", one.visitorsOpen, labels);
  page.add("hatchway_relay_forward_visitors_total", one.visitorsTotal, labels);
  page.add("hatchway_relay_forward_traffic_bytes_total", one.bytesIn, { ...labels, direction: "in" });
  page.add("hatchway_relay_forward_traffic_bytes_total", one.bytesOut, { ...labels, direction: "out" });
  page.add("hatchway_relay_forward_refusals_total", one.refusedTotal, labels);
  page.add("hatchway_relay_forward_datagrams_dropped_total", one.datagramsDropped, labels);
  if (one.answerMs === null) return;
  page.add("hatchway_relay_forward_answer_p50_seconds", one.answerMs.p50 / MS_PER_SEC, labels);
  page.add("hatchway_relay_forward_answer_p90_seconds", one.answerMs.p90 / MS_PER_SEC, labels);
}
