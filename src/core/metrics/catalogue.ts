import type { MetricFamily, MetricSample, MetricType } from "../../wire/prometheus.ts";

interface MetricInfo {
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly help: string;
}

const forward = ["forward", "device"] as const;
const counter = <const L extends readonly string[]>(help: string, ...labels: L) =>
  ({ type: "counter", labels, help }) as const;
const gauge = <const L extends readonly string[]>(help: string, ...labels: L) =>
  ({ type: "gauge", labels, help }) as const;

/**
 * Every metric there is. Names by Prometheus' rules: base units, `_total` for what only grows. No label holds a visitor's
 * address or a secret. docs/metrics.md has the same table, and a test says so.
 */
export const METRICS = {
  hatchway_build_info: gauge("1; its label says which version of Hatchway runs.", "version"),
  process_start_time_seconds: gauge("When the process started, Unix time."),
  process_resident_memory_bytes: gauge("Memory of the process that is in RAM."),

  hatchway_relay_devices_enrolled: gauge("Devices that joined the relay and were not revoked."),
  hatchway_relay_devices_connected: gauge("Enrolled devices that are connected now."),
  hatchway_relay_sessions: gauge("Sessions of devices, those too that are only beginning."),
  hatchway_relay_handshakes_pending: gauge("Connections to the agent port that have not proved who they are yet."),
  hatchway_relay_credentials_refused_total: counter(
    "Wrong credentials: of devices at the agent port, of people at the console.",
    "kind",
  ),
  hatchway_relay_forwards: gauge("Forwards by state, as in `forward ls`.", "state"),
  hatchway_relay_visitors_open: gauge("Connections and flows of visitors that are open now."),
  hatchway_relay_visitors_total: counter("Connections and flows of visitors since the start."),
  hatchway_relay_traffic_bytes_total: counter(
    "Payload that visitors sent (in) and were sent (out) since the start.",
    "direction",
  ),
  hatchway_relay_refusals_total: counter("Visitors refused or cut since the start, by reason.", "reason"),
  hatchway_relay_datagrams_dropped_total: counter("Datagrams that could not be passed on since the start."),
  hatchway_relay_forwards_unlisted: gauge("Forwards without series of their own, summed as forward=(other)."),
  hatchway_relay_forward_up: gauge("1 while the forward is open and its device serves it, else 0.", ...forward),
  hatchway_relay_forward_visitors_open: gauge("Its connections and flows that are open now.", ...forward),
  hatchway_relay_forward_visitors_total: counter("Its connections and flows.", ...forward),
  hatchway_relay_forward_traffic_bytes_total: counter(
    "Payload that its visitors sent (in) and were sent (out).",
    ...forward,
    "direction",
  ),
  hatchway_relay_forward_refusals_total: counter("Its visitors that were refused or cut.", ...forward),
  hatchway_relay_forward_datagrams_dropped_total: counter("Its datagrams that could not be passed on.", ...forward),
  hatchway_relay_forward_answer_p50_seconds: gauge(
    "From a visitor's arrival to the service's answer: half of the latest 256 were faster.",
    ...forward,
  ),
  hatchway_relay_forward_answer_p90_seconds: gauge(
    "From a visitor's arrival to the service's answer: nine of ten of the latest 256 were faster.",
    ...forward,
  ),

  hatchway_gateway_mappings: gauge("Mappings and pinholes by who asked for them.", "origin"),
  hatchway_gateway_warnings: gauge("Things that keep forwards from working, as `status` tells them."),
  hatchway_gateway_server_up: gauge("1 while what clients ask for ports listens, else 0.", "server"),
  hatchway_gateway_dropped_packets_total: counter("Packets that the gateway's rules dropped, by reason.", "reason"),
  hatchway_gateway_vpn_up: gauge("1 while the VPN's interface is as it should be, else 0. Absent without a VPN."),
  hatchway_gateway_vpn_peers: gauge("Peers that the VPN has."),
  hatchway_gateway_vpn_peers_up: gauge("Peers whose latest handshake is at most three minutes old."),
  hatchway_gateway_visitors_open: gauge("Connections and flows to clients that are open now."),
  hatchway_gateway_visitors_total: counter("Connections and flows to clients, as far as scrapes saw them."),
  hatchway_gateway_traffic_bytes_total: counter(
    "Bytes from visitors to clients (in) and back (out), as far as scrapes saw them.",
    "direction",
  ),
  hatchway_gateway_forwards_unlisted: gauge(
    "Port ranges of mappings without series of their own, summed as forward=(other).",
  ),
  hatchway_gateway_forward_up: gauge("1 while the mapping is open, else 0.", ...forward),
  hatchway_gateway_forward_visitors_open: gauge("Its connections and flows that are open now.", ...forward),
  hatchway_gateway_forward_visitors_total: counter("Its connections and flows.", ...forward),
  hatchway_gateway_forward_traffic_bytes_total: counter(
    "Bytes from its visitors to the client (in) and back (out).",
    ...forward,
    "direction",
  ),
} as const satisfies Record<string, MetricInfo>;

export type MetricName = keyof typeof METRICS;
type LabelsOf<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]["labels"][number], string>>;

/** What one scrape answers, while it is gathered. */
export class MetricPage {
  readonly #samples = new Map<MetricName, MetricSample[]>();

  add<N extends MetricName>(name: N, value: number, labels: LabelsOf<N>): void {
    const samples = this.#samples.get(name);
    if (samples === undefined) this.#samples.set(name, [{ labels, value }]);
    else samples.push({ labels, value });
  }

  /** In the catalogue's order. */
  *families(): Generator<MetricFamily> {
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const { type, help } = METRICS[name];
      const samples = this.#samples.get(name);
      if (samples !== undefined) yield { name, type, help, samples };
    }
  }
}
