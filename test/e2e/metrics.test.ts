import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEFAULT_OPTIONS } from "../../src/core/forward.ts";
import { METRICS } from "../../src/core/metrics/catalogue.ts";
import { VERSION } from "../../src/os/version.ts";
import { startRelay } from "../../src/roles/relay.ts";
import { type Client, createClient } from "../../src/servers/api/client.ts";
import { parseCidr } from "../../src/wire/address.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { parseScrape, type Scrape, sampleOf } from "../fixtures/prometheus-text.ts";
import { failureOf, mapping, type RolesLab, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, askUdp, tcpService, udpService, visit } from "../fixtures/services.ts";

/** A real relay with real agents and visitors, scraped as Prometheus scrapes it. */
const HERE = "127.0.0.1";
const LISTEN = { host: HERE, port: 0 };
const PASSWORD = "correct horse battery";

let lab: RolesLab;
let admin: Client;
let viewer: Client;
beforeAll(async () => {
  const console = { listen: LISTEN, hosts: [], certificate: null, tls: false, trustedProxies: [] };
  lab = await rolesLab({ console, metrics: { listen: LISTEN, tokenFile: null } });
  const { url, setupLink } = lab.relay.ready.console ?? { url: "", setupLink: "" };
  [admin, viewer] = [
    createClient({ baseUrl: url, fetch: pageFetch(url) }),
    createClient({ baseUrl: url, fetch: pageFetch(url) }),
  ];
  await admin.redeem({ token: secretOf(setupLink ?? ""), name: "ann", password: PASSWORD });
  const { link } = await admin.makeInvite({ role: "viewer" });
  await viewer.redeem({ token: secretOf(link), name: "vic", password: PASSWORD });
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

async function scrapeText(port = lab.relay.ready.metricsPort): Promise<string> {
  const answer = await fetch(`http://${HERE}:${port}/metrics`);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  return await answer.text();
}
const scrape = async (): Promise<Scrape> => parseScrape(await scrapeText());

describe("a relay", () => {
  test("tells what its visitors do, by forward", async () => {
    using web = tcpService("web");
    using game = await udpService("game");
    const agent = await lab.agent("den");
    const [webPort = 0, gamePort = 0, offPort = 0] = lab.pool;
    await agent.add(remote("web", [mapping("tcp", webPort, webPort, web.port)]));
    await agent.add(remote("game", [mapping("udp", gamePort, gamePort, game.port)]));
    await agent.add(remote("off", [mapping("tcp", offPort)], { enabled: false }));
    const before = await scrape();
    const labels = { forward: "web", device: "den" };
    expect(sampleOf(before, "hatchway_relay_forward_visitors_total", labels)).toBe(0);
    expect(sampleOf(before, "hatchway_relay_forward_answer_p50_seconds", labels)).toBeNull();
    using visitor = await visit(webPort);
    expect(await visitor.ask("hello")).toBe("web:hello");
    expect(await ask(webPort)).toBe("web:hello");
    expect(await askUdp(gamePort)).toBe("game:hello");
    const after = await scrape();
    const of = (name: string, more: Record<string, string> = {}) =>
      sampleOf(after, `hatchway_relay_forward_${name}`, { ...labels, ...more });
    expect({
      up: of("up"),
      open: of("visitors_open"),
      total: of("visitors_total"),
      in: of("traffic_bytes_total", { direction: "in" }),
      out: of("traffic_bytes_total", { direction: "out" }),
      refused: of("refusals_total"),
      dropped: of("datagrams_dropped_total"),
    }).toMatchObject({ up: 1, total: 2, in: 10, out: 18, dropped: 0 });
    expect(of("visitors_open")).toBeGreaterThanOrEqual(1);
    const [p50, p90] = [of("answer_p50_seconds") ?? -1, of("answer_p90_seconds") ?? -1];
    expect(p50).toBeGreaterThan(0);
    expect(p50).toBeLessThan(2);
    expect(p90).toBeGreaterThanOrEqual(p50);
    expect(sampleOf(after, "hatchway_relay_forward_up", { forward: "off" })).toBe(0);
    expect(sampleOf(after, "hatchway_relay_visitors_total")).toBe(3);
    expect(sampleOf(after, "hatchway_relay_traffic_bytes_total", { direction: "in" })).toBe(15);
    expect(sampleOf(after, "hatchway_relay_forwards", { state: "open" })).toBe(2);
    expect(sampleOf(after, "hatchway_relay_forwards", { state: "disabled" })).toBe(1);
    expect(sampleOf(after, "hatchway_relay_devices_connected")).toBe(1);
    expect(sampleOf(after, "hatchway_relay_devices_enrolled")).toBe(1);
    expect(sampleOf(after, "hatchway_relay_sessions")).toBe(1);
    expect(sampleOf(after, "hatchway_build_info", { version: VERSION })).toBe(1);
    expect(sampleOf(after, "process_resident_memory_bytes")).toBeGreaterThan(1_000_000);
    const { startedMs } = await lab.relay.status();
    expect(sampleOf(after, "process_start_time_seconds")).toBe(startedMs / 1_000);
    await agent.running.removeForward("web");
    await until(async () => sampleOf(await scrape(), "hatchway_relay_forward_up", labels) === null);
    expect(sampleOf(await scrape(), "hatchway_relay_visitors_total")).toBe(3);
    await agent.stop();
  });

  test("tells refusals by reason, and devices that are away", async () => {
    const agent = await lab.agent("attic");
    const [, , , port = 0] = lab.pool;
    const elsewhere = parseCidr("192.0.2.0/24");
    if (!elsewhere.ok) throw new Error("not a network");
    const source = { allow: [elsewhere.value], deny: [] };
    await agent.add(remote("closed", [mapping("tcp", port)], { options: { ...DEFAULT_OPTIONS, source } }));
    const before = sampleOf(await scrape(), "hatchway_relay_refusals_total", { reason: "sourceNotAllowed" }) ?? 0;
    expect(await ask(port)).toBe("cut");
    const after = await scrape();
    expect(sampleOf(after, "hatchway_relay_refusals_total", { reason: "sourceNotAllowed" })).toBe(before + 1);
    expect(sampleOf(after, "hatchway_relay_forward_refusals_total", { forward: "closed" })).toBe(1);
    await agent.stop();
  });

  test("names forwards as their devices do, without a line of their own making", async () => {
    const name = 'a"} 1\nevil_total{x="';
    const agent = await lab.agent("shed");
    const [, , , , port = 0] = lab.pool;
    await agent.add(remote("evil", [mapping("tcp", port)], { name }));
    const after = await scrape();
    expect(sampleOf(after, "hatchway_relay_forward_up", { forward: name, device: "shed" })).toBe(1);
    expect([...after.keys()].filter((family) => !(family in METRICS))).toEqual([]);
    await agent.stop();
  });

  test("counts wrong credentials, and tells no name, address or secret of it", async () => {
    const before = sampleOf(await scrape(), "hatchway_relay_credentials_refused_total", { kind: "person" }) ?? 0;
    await failureOf(
      createClient({ baseUrl: lab.relay.ready.console?.url ?? "" }).signIn({ name: "ann", password: "wrong guess" }),
    );
    const text = await scrapeText();
    expect(sampleOf(parseScrape(text), "hatchway_relay_credentials_refused_total", { kind: "person" })).toBe(
      before + 1,
    );
    for (const hidden of ["ann", "wrong guess", HERE, PASSWORD]) expect(text).not.toContain(hidden);
  });

  test("has the types of the catalogue", async () => {
    for (const [name, { type, help }] of await scrape()) {
      const { type: wanted, help: text } = METRICS[name as keyof typeof METRICS];
      expect([name, type, help]).toEqual([name, wanted, text]);
    }
  });
});

describe("who may scrape", () => {
  const page = (headers: Record<string, string>) =>
    fetch(`${lab.relay.ready.console?.url}/metrics`, { headers }).then(({ status }) => status);

  test("at the console: an administrator's token alone", async () => {
    const token = async (client: Client, scopes: readonly ("read" | "forwards" | "all")[]) => {
      const { secret } = await client.makeToken({
        name: `t${scopes.join("")}`,
        scopes: [...scopes],
        lifetimeSec: null,
      });
      return { authorization: `Bearer ${secret}` };
    };
    expect(await page(await token(admin, ["read"]))).toBe(200);
    expect(await page(await token(viewer, ["read"]))).toBe(403);
    expect(await page({ authorization: "Bearer wrong" })).toBe(401);
    expect(await page({})).toBe(401);
  });

  test("at a listener with a token file: who sends what is in it", async () => {
    await using directory = await temporaryDirectory();
    const tokenFile = join(directory.path, "token");
    await writeFile(tokenFile, "a token of 16 bytes or more\n", { mode: 0o600 });
    const settings = { ...lab.relaySettings, console: null, listen: LISTEN, metrics: { listen: LISTEN, tokenFile } };
    const start = () => startRelay({ dataDir: join(directory.path, "relay"), readSettings: async () => settings });
    const relay = await start();
    const get = (headers: Record<string, string>) =>
      fetch(`http://${HERE}:${relay.ready.metricsPort}/metrics`, { headers }).then(({ status }) => status);
    expect(await get({ authorization: "Bearer a token of 16 bytes or more" })).toBe(200);
    expect(await get({ authorization: "Bearer another of 16 bytes or more" })).toBe(401);
    expect(await get({})).toBe(401);
    await relay.stop({ drainMs: 0 });
    await writeFile(tokenFile, "short\n");
    expect(await failureOf(start())).toMatchObject({
      kind: "usage",
      message: expect.stringContaining("16 to 1024 bytes"),
    });
  });

  test("a port that is taken is told, and the relay does not start", async () => {
    await using directory = await temporaryDirectory();
    const taken = { host: HERE, port: lab.relay.ready.metricsPort ?? 0 };
    const settings = {
      ...lab.relaySettings,
      console: null,
      listen: LISTEN,
      metrics: { listen: taken, tokenFile: null },
    };
    const failure = await failureOf(startRelay({ dataDir: directory.path, readSettings: async () => settings }));
    expect(failure).toMatchObject({ kind: "failed", message: expect.stringContaining(String(taken.port)) });
  });

  test("no forward can have the port", async () => {
    const agent = await lab.agent("cellar");
    const port = lab.relay.ready.metricsPort ?? 0;
    lab.relaySettings = { ...lab.relaySettings, ports: [mapping("tcp", 1_024, 65_535, 1_024)] };
    expect((await lab.relay.reload()).changed).toEqual(["relay.ports"]);
    expect(await failureOf(agent.add(remote("taken", [mapping("tcp", port)])))).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("metrics"),
    });
    await agent.stop();
  });

  test("another listener needs a restart", async () => {
    lab.relaySettings = { ...lab.relaySettings, metrics: null };
    expect((await lab.relay.reload()).needRestart).toEqual(["metrics"]);
    expect((await scrape()).size).toBeGreaterThan(10);
  });
});
