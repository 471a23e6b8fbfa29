import { expect, test } from "bun:test";
import { parseScrape, sampleOf } from "../../../test/fixtures/prometheus-text.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { HeldForward } from "../../core/held.ts";
import { MAX_SERIES, OTHER } from "../../core/metrics/series.ts";
import { ForwardCounters } from "../../dataplanes/io/counters.ts";
import { Visits } from "../../dataplanes/io/visits.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { ProcessMetrics } from "../metrics/page.ts";
import { totalOf } from "../views.ts";
import type { SharedEntry } from "./entries.ts";
import { type RelayMetricsOptions, relayMetrics } from "./metrics.ts";

const FORWARDS = 20_000;
const DEVICES = 200;

interface Fake {
  readonly held: HeldForward;
  readonly counters: ForwardCounters;
  readonly shared: SharedEntry;
}

function fakeForward(at: number): Fake {
  const [device, id] = [`device-${at % DEVICES}`, `forward-${at}`];
  const counters = new ForwardCounters();
  counters.visitorsTotal = 1;
  counters.bytesIn = 10;
  counters.countRefused("rateLimit");
  for (let visit = 0; visit < 256; visit++) counters.countAnswer(1 + ((visit * 37) % 256));
  const spec = { id, name: id, group: null, ports: [], options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: null };
  const external = { tcp: [], udp: [] };
  const held = { owner: { account: "a", device }, spec, bind: "*", external } as unknown as HeldForward;
  const members = new Map([[device, { handle: 1, healthy: true }]]);
  return { held, counters, shared: { members, entry: { visits: { counters } } } as unknown as SharedEntry };
}

/** A relay of so many open forwards, without a socket. */
function fakeRelay(count: number): RelayMetricsOptions["relay"] {
  const all = new Map(
    Array.from({ length: count }, (_, at) => {
      const fake = fakeForward(at);
      return [`${fake.held.owner.device}/${fake.held.spec.id}`, fake] as const;
    }),
  );
  const of = (device: string, id: string) => all.get(`${device}/${id}`);
  return {
    store: { devices: { list: async () => [] } },
    dials: { visits: new Visits(DEFAULT_OPTIONS) },
    session: () => ({}) as Session,
    certificateOf: () => ({ kind: "there" }),
    forwards: {
      list: () => [...all.values()].map(({ held }) => held),
      get: (device, id) => of(device, id)?.held ?? null,
      entryOf: ({ owner, spec }) => of(owner.device, spec.id)?.shared,
      deviceName: (device) => device,
      total: () => totalOf([...all.values()].map(({ counters }) => counters)),
      assignments: { get: () => null, isManaged: () => null } as never,
    },
  };
}

const metricsOf = (count: number) =>
  new ProcessMetrics(0, [
    relayMetrics({
      relay: fakeRelay(count),
      refused: { devices: 3, people: 4 },
      tunnel: () => ({ sessions: 5, pending: 6 }),
    }),
  ]);

test("20,000 forwards are a thousand series and a sum, and others get their turns meanwhile", async () => {
  const metrics = metricsOf(FORWARDS);
  let turns = 0;
  let isDone = false;
  const turn = () => {
    turns += 1;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  const text = await metrics.text();
  isDone = true;
  expect(turns).toBeGreaterThanOrEqual(FORWARDS / 1_000 - 1);
  const scrape = parseScrape(text);
  expect(scrape.get("hatchway_relay_forward_up")?.samples).toHaveLength(MAX_SERIES);
  expect(sampleOf(scrape, "hatchway_relay_forwards", { state: "open" })).toBe(FORWARDS);
  expect(sampleOf(scrape, "hatchway_relay_forwards_unlisted")).toBe(FORWARDS - MAX_SERIES);
  expect(sampleOf(scrape, "hatchway_relay_forward_visitors_total", { forward: OTHER })).toBe(FORWARDS - MAX_SERIES);
  expect(sampleOf(scrape, "hatchway_relay_visitors_total")).toBe(FORWARDS);
  expect(sampleOf(scrape, "hatchway_relay_refusals_total", { reason: "rateLimit" })).toBe(FORWARDS);
  expect(sampleOf(scrape, "hatchway_relay_forward_answer_p50_seconds", { forward: "forward-0" })).toBe(0.129);
  expect(text.length).toBeLessThan(2_000_000);
});

test("scrapes that come at once are one", async () => {
  const metrics = metricsOf(10);
  const [first, second] = [metrics.text(), metrics.text()];
  expect(second).toBe(first);
  await first;
  expect(metrics.text()).not.toBe(first);
});

test("what is refused and pending is told", async () => {
  const scrape = parseScrape(await metricsOf(1).text());
  expect(sampleOf(scrape, "hatchway_relay_credentials_refused_total", { kind: "device" })).toBe(3);
  expect(sampleOf(scrape, "hatchway_relay_credentials_refused_total", { kind: "person" })).toBe(4);
  expect(sampleOf(scrape, "hatchway_relay_sessions")).toBe(5);
  expect(sampleOf(scrape, "hatchway_relay_handshakes_pending")).toBe(6);
});
