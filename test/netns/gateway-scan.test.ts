import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { askIgd, askNatPmp, askPcp, igdLocation, portMapping } from "./asking.ts";
import { type GatewaySite, startGateway } from "./gateway-kit.ts";
import { query } from "./hatchway.ts";
import { startService } from "./kit.ts";
import { createLab, type Host, type Lab, VISITOR_SECOND_V4, VISITOR_SECOND_V6 } from "./lab.ts";

setDefaultTimeout(30_000);

/**
 * What a stranger finds: exactly the ports that were forwarded, and nothing of the gateway itself. The same scanner,
 * from inside, finds the servers: it sees what there is to see.
 */
const TOML = `
[[mapping]]
name = "web"
ports = "8000:80"
to = "192.168.77.2"
[[mapping]]
name = "games"
ports = "1000-1004"
to = "192.168.77.2"
protocol = "tcp+udp"
[[mapping]]
name = "paused"
ports = "1010"
to = "192.168.77.2"
protocol = "tcp+udp"
enabled = false
[[mapping]]
name = "friends"
ports = "1020"
to = "192.168.77.2"
protocol = "tcp+udp"
allow = ["${VISITOR_SECOND_V4}"]
`;
const SERVERS_UDP = "1-2000,5351";
let lab: Lab;
let site: GatewaySite;
let httpPort: number;

interface Scan<F> {
  readonly found: F;
  readonly silent: readonly number[];
  readonly scanned: number;
  readonly ms: number;
}

async function scan<F>(host: Host, target: string, protocol: "tcp" | "udp", ports: string, from?: string) {
  const scanner = join(import.meta.dir, "peers/scanner.ts");
  const bun = [process.execPath, "--no-env-file", "--config=/dev/null"];
  const more = from === undefined ? [] : [from];
  await using child = lab.spawn(host, [...bun, scanner, target, protocol, ports, ...more]);
  return await child.event<Scan<F>>("done", { deadlineMs: 90_000 });
}

const tcp = (target: string, ports: string, from?: string) => scan<number[]>(lab.visitor, target, "tcp", ports, from);
const udp = async (target: string, ports: string, from?: string) =>
  Object.keys((await scan<Record<string, string>>(lab.visitor, target, "udp", ports, from)).found).map(Number);

beforeAll(async () => {
  lab = createLab({ natRules: false });
  // Everything answers that may: what is not found was not let through.
  await startService(
    lab,
    lab.agent,
    ...["peer:tcp:80", "peer:tcp:1000-1020", "echo:udp:1000-1020", "peer:tcp:1900", "echo:udp:1900"],
    ...["peer:tcp:5351", "echo:udp:5351", "peer:tcp:8001-8009", "echo:udp:1501-1509"],
  );
  site = await startGateway(lab, TOML);
  const location = await igdLocation(lab, lab.agent);
  httpPort = Number(new URL(location).port);
  const { agent } = lab;
  const ask = { lifetimeSec: 600 };
  expect(await askNatPmp(lab, agent, { protocol: "tcp", internal: 8001, external: 8001, ...ask })).toMatchObject({
    externalPort: 8001,
  });
  expect(await askNatPmp(lab, agent, { protocol: "udp", internal: 1501, external: 1501, ...ask })).toMatchObject({
    externalPort: 1501,
  });
  for (const [protocol, port] of [
    ["TCP", 8002],
    ["UDP", 1502],
  ] as const) {
    const mapping = portMapping({ external: port, internal: port, protocol, client: agent.v4 });
    expect(await askIgd(lab, agent, location, 1, "AddPortMapping", mapping)).toMatchObject({ code: 0 });
  }
  for (const [protocol, port] of [
    ["tcp", 8003],
    ["udp", 1503],
  ] as const) {
    const filter = `filter=${VISITOR_SECOND_V4}/32`;
    expect(await askPcp(lab, agent, "map", protocol, port, port, 600, filter)).toMatchObject({ kind: "success" });
  }
  // The visitor tries every way in: the addresses of the LAN by way of the gateway's outside.
  for (const n of [77, 78]) {
    await lab.exec(lab.visitor, ["ip", "route", "add", `192.168.${n}.0/24`, "via", lab.nat.v4]);
    await lab.exec(lab.visitor, ["ip", "route", "add", `fd00:${n}::/64`, "via", lab.nat.v6]);
  }
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

describe("the external address", () => {
  test("has open exactly the TCP ports that are forwarded to this visitor, of all 65,535", async () => {
    const { found, silent, scanned, ms } = await tcp(lab.nat.v4, "1-65535");
    expect(scanned).toBe(65_535);
    expect(found).toEqual([1000, 1001, 1002, 1003, 1004, 8000, 8001, 8002]);
    // Dropped: the forwards for somebody else, and the gateway's own server.
    expect(silent).toEqual([1020, 8003, httpPort]);
    expect(ms).toBeLessThan(60_000);
  }, 100_000);

  test("answers on exactly the UDP ports that are forwarded to this visitor", async () => {
    const found = await udp(lab.nat.v4, `${SERVERS_UDP},${httpPort}`);
    expect(found).toEqual([1000, 1001, 1002, 1003, 1004, 1501, 1502]);
  }, 30_000);

  test("shows what is for an allowed source to that one", async () => {
    expect((await tcp(lab.nat.v4, "1020,8003,8002", VISITOR_SECOND_V4)).found).toEqual([1020, 8002, 8003]);
    expect(await udp(lab.nat.v4, "1020,1502,1503", VISITOR_SECOND_V4)).toEqual([1020, 1502, 1503]);
  }, 30_000);
});

describe("the gateway's own servers", () => {
  test("are there, to who is inside", async () => {
    const gateway = "192.168.77.1";
    const inside = await scan<Record<string, string>>(lab.agent, gateway, "udp", `1900,5351,${httpPort}`);
    expect(Object.keys(inside.found)).toEqual(["1900", "5351"]);
    expect((await scan<number[]>(lab.agent, gateway, "tcp", `1900,5351,${httpPort}`)).found).toEqual([httpPort]);
  }, 20_000);

  const TARGETS = [
    ["the WAN address", () => lab.nat.v4],
    ["the WAN's IPv6 address", () => lab.nat.v6],
    ["a LAN address from the WAN side", () => "192.168.77.1"],
    ["the other LAN address", () => "192.168.78.1"],
    ["a LAN's IPv6 address", () => "fd00:77::1"],
    ["the other LAN's IPv6 address", () => "fd00:78::1"],
    ["a host inside by its own address", () => lab.agent.v4],
    ["a host inside by its own IPv6 address", () => lab.agent.v6],
  ] as const;

  test("answer nothing outside, at any address, TCP or UDP", async () => {
    const answers = await Promise.all(
      TARGETS.map(async ([where, address]) => {
        const ports = `1900,5351,${httpPort}`;
        const [overTcp, overUdp] = await Promise.all([tcp(address(), ports), udp(address(), ports)]);
        return { where, tcp: overTcp.found, udp: overUdp };
      }),
    );
    expect(answers).toEqual(TARGETS.map(([where]) => ({ where, tcp: [], udp: [] })));
  }, 40_000);
});

describe("a host inside, by its own addresses", () => {
  test("answers on no port, open or forwarded elsewhere, but for a pinhole", async () => {
    const tcpPorts = "80,1000-1020,1900,5351,8001-8009";
    const udpPorts = "1000-1020,1501-1509,1900,5351";
    const found = [lab.agent.v4, lab.agent.v6].flatMap((address) => [
      tcp(address, tcpPorts).then((scanned) => scanned.found),
      udp(address, udpPorts),
    ]);
    expect(await Promise.all(found)).toEqual([[], [], [], []]);
    const { exitCode } = await lab.exec(lab.visitor, ["ping", "-c", "1", "-W", "1", lab.agent.v4]);
    expect(exitCode).toBe(1);
  }, 30_000);

  test("a pinhole is the one port of it that is open, to its own sources", async () => {
    const bun = [process.execPath, "--no-env-file", "--config=/dev/null"];
    const client = join(import.meta.dir, "peers/pcp-client.ts");
    const options = ["map", "tcp", "8004", "8004", "600", `filter=${VISITOR_SECOND_V6}/128`];
    await using child = lab.spawn(lab.agent, [...bun, client, "fd00:77::1", ...options]);
    expect(await child.event("done")).toMatchObject({ answer: { kind: "success" } });
    expect((await tcp(lab.agent.v6, "80,8001-8009", VISITOR_SECOND_V6)).found).toEqual([8004]);
    expect((await tcp(lab.agent.v6, "8004", lab.visitor.v6)).found).toEqual([]);
  }, 30_000);
});

test("the drops are counted with their reasons", async () => {
  const { gateway } = await query<{ gateway: { dropped: Record<string, number> } }>(lab, site.home, "status");
  for (const reason of ["insideOnly", "sourceNotAllowed", "unforwarded"]) {
    expect(gateway.dropped[reason], reason).toBeGreaterThan(0);
  }
});
