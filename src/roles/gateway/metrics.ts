import type { MetricPage } from "../../core/metrics/catalogue.ts";
import { ForwardSeries, type Series, type SeriesReport } from "../../core/metrics/series.ts";
import type { MetricSource } from "../metrics/page.ts";
import type { GatewayView } from "./control.ts";
import { runsOf } from "./entries.ts";
import { openFlowsOf, type Traffic, trafficOf } from "./forward-info.ts";

/** A peer that has anything to send shakes hands every two minutes; after three its keys are not taken (WireGuard §6.1). */
const PEER_UP_MS = 180_000;

/** What a gateway tells a scrape. O(mappings), and what the kernel's tools take to list them. */
export function gatewayMetrics(view: GatewayView): MetricSource {
  const series = new ForwardSeries();
  return async (page) => {
    const [traffic, dropped] = [await trafficOf(view), await view.kernel.plane.drops()];
    for (const [reason, count] of Object.entries(dropped)) {
      page.add("hatchway_gateway_dropped_packets_total", count, { reason });
    }
    const { servers, warnings } = view.facts();
    for (const { name, listening } of servers) {
      page.add("hatchway_gateway_server_up", listening ? 1 : 0, { server: name });
    }
    page.add("hatchway_gateway_warnings", warnings.length, {});
    await addVpn(page, view);
    addMappings(page, view, traffic, series);
  };
}

async function addVpn(page: MetricPage, view: GatewayView): Promise<void> {
  const { server, peers } = await view.vpn.info(() => 0);
  if (server === null) return;
  const oldestMs = view.wallMs() - PEER_UP_MS;
  const up = peers.filter(({ latestHandshakeMs }) => latestHandshakeMs !== null && latestHandshakeMs >= oldestMs);
  page.add("hatchway_gateway_vpn_up", server.message === null ? 1 : 0, {});
  page.add("hatchway_gateway_vpn_peers", peers.length, {});
  page.add("hatchway_gateway_vpn_peers_up", up.length, {});
}

function addMappings(page: MetricPage, view: GatewayView, traffic: Traffic, series: ForwardSeries): void {
  const origins = new Map<string, number>(ORIGINS.map((origin) => [origin, 0]));
  for (const { spec } of view.book.list()) origins.set(spec.origin, (origins.get(spec.origin) ?? 0) + 1);
  for (const [origin, count] of origins) page.add("hatchway_gateway_mappings", count, { origin });
  const report = roundOf(view, traffic, series);
  const { total } = report;
  page.add("hatchway_gateway_forwards_unlisted", report.unlisted, {});
  page.add("hatchway_gateway_visitors_open", total.visitorsOpen, {});
  page.add("hatchway_gateway_visitors_total", total.visitorsTotal, {});
  page.add("hatchway_gateway_traffic_bytes_total", total.bytesIn, { direction: "in" });
  page.add("hatchway_gateway_traffic_bytes_total", total.bytesOut, { direction: "out" });
  for (const one of report.series) addSeries(page, one);
}

const ORIGINS = ["cli", "config", "api", "natpmp", "pcp", "igd"] as const;
const NOTHING = { visitorsTotal: 0, bytesIn: 0, bytesOut: 0 };

/** By what the kernel counts: a port that several pinholes share is told under the first. */
function roundOf(view: GatewayView, { usage, open }: Traffic, series: ForwardSeries): SeriesReport {
  const round = series.begin();
  for (const run of runsOf(view.book.list())) {
    const [held] = run.holders;
    if (held === undefined) continue;
    const { spec, owner } = held;
    const { visitorsTotal, bytesIn, bytesOut } = usage.get(run.id) ?? NOTHING;
    round.add({
      // What apps ask for is called whatever they like, and comes and goes: each name would be series for weeks.
      forward: spec.requester === null ? spec.name : `(${spec.origin})`,
      device: view.vpn.peerOf(owner.device)?.name ?? owner.device,
      source: run.id,
      counts: { visitorsTotal, bytesIn, bytesOut, refusedTotal: 0, datagramsDropped: 0 },
      visitorsOpen: openFlowsOf(run, open),
      isUp: spec.enabled && view.vpn.closedBy(spec) === null,
      answerMs: () => null,
    });
  }
  return round.end();
}

function addSeries(page: MetricPage, one: Series): void {
  const labels = { forward: one.forward, device: one.device };
  if (one.isUp !== null) page.add("hatchway_gateway_forward_up", one.isUp ? 1 : 0, labels);
  page.add("hatchway_gateway_forward_visitors_open", one.visitorsOpen, labels);
  page.add("hatchway_gateway_forward_visitors_total", one.visitorsTotal, labels);
  page.add("hatchway_gateway_forward_traffic_bytes_total", one.bytesIn, { ...labels, direction: "in" });
  page.add("hatchway_gateway_forward_traffic_bytes_total", one.bytesOut, { ...labels, direction: "out" });
}
