import { afterAll, beforeAll, expect, test } from "bun:test";
import { METRICS } from "../../src/core/metrics/catalogue.ts";
import { parseScrape, type Scrape, sampleOf } from "../fixtures/prometheus-text.ts";
import { type GatewaySite, startGateway } from "./gateway-kit.ts";
import { run } from "./hatchway.ts";
import { startService, visit } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

/** A real gateway with `[metrics]`, scraped on its own machine: what its kernel counts of real visitors. */
const TOML = `
[metrics]
listen = "127.0.0.1:9464"
[[mapping]]
name = "web"
ports = "8000:80"
to = "192.168.77.2"
[[mapping]]
name = "off"
ports = 8001
to = "192.168.77.2"
enabled = false
`;
let lab: Lab;
let site: GatewaySite;
beforeAll(async () => {
  lab = createLab({ natRules: false });
  await startService(lab, lab.agent, "--host", "0.0.0.0", "peer:tcp:80");
  site = await startGateway(lab, TOML, "--log-format", "json");
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

const curl = (...args: readonly string[]) =>
  lab.exec(lab.nat, ["curl", "-s", ...args, "http://127.0.0.1:9464/metrics"]);
/** Whoever runs it leaves the last line end out. */
const page = async () => `${(await curl()).stdout.trimEnd()}\n`;
const scrape = async (): Promise<Scrape> => parseScrape(await page());
const WEB = { forward: "web", device: "192.168.77.2" };

test("mappings, their visitors and what was dropped are told", async () => {
  const before = await scrape();
  expect(sampleOf(before, "hatchway_gateway_forward_visitors_total", WEB)).toBe(0);
  const { answers } = await visit<{ answers: Record<string, string> }>(
    lab,
    lab.visitor,
    "ports",
    lab.nat.v4,
    8000,
    8001,
    8002,
  );
  expect(answers[8000]).toStartWith(`${lab.visitor.v4} `);
  await run(lab, site.home, "forward", "add", "8003:80", "--to", "192.168.77.2", "--name", "more");
  const text = await page();
  const after = parseScrape(text);
  expect(sampleOf(after, "hatchway_gateway_mappings", { origin: "config" })).toBe(2);
  expect(sampleOf(after, "hatchway_gateway_mappings", { origin: "cli" })).toBe(1);
  expect(sampleOf(after, "hatchway_gateway_forward_up", WEB)).toBe(1);
  expect(sampleOf(after, "hatchway_gateway_forward_up", { forward: "off" })).toBe(0);
  expect(sampleOf(after, "hatchway_gateway_forward_visitors_total", WEB)).toBe(1);
  expect(sampleOf(after, "hatchway_gateway_visitors_total")).toBe(1);
  expect(sampleOf(after, "hatchway_gateway_forward_traffic_bytes_total", { ...WEB, direction: "out" })).toBeGreaterThan(
    10,
  );
  const dropped = (scraped: Scrape) =>
    sampleOf(scraped, "hatchway_gateway_dropped_packets_total", { reason: "unforwarded" }) ?? 0;
  expect(dropped(after)).toBeGreaterThanOrEqual(dropped(before));
  expect(after.get("hatchway_gateway_server_up")?.samples.length).toBeGreaterThan(1);
  // There is no VPN, and no relay.
  expect(sampleOf(after, "hatchway_gateway_vpn_up")).toBeNull();
  expect([...after.keys()].filter((name) => name.includes("_relay_") || !(name in METRICS))).toEqual([]);
  expect(text).not.toContain(lab.visitor.v4);
}, 30_000);

test("a page of another site does not read it, and what the gateway and its helper log is JSON", async () => {
  expect((await curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: evil.example")).stdout).toBe("403");
  for (const line of site.child.stderr) {
    expect(Object.keys(JSON.parse(line))).toEqual(["time", "level", "area", "message", "fields"]);
  }
}, 20_000);
