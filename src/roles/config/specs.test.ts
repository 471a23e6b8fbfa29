import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ForwardSpec, partOf } from "../../core/forward.ts";
import { readConfig } from "./load.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-config-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function only(text: string): Promise<ForwardSpec> {
  const { forwards } = await readConfig(text, "t.toml");
  expect(forwards).toHaveLength(1);
  return forwards[0]!;
}

const idOf = (spec: ForwardSpec) => partOf(spec).id;
const run = (protocol: "tcp" | "udp", first: number, last: number, internalFirst: number) => ({
  protocol,
  first,
  last,
  internalFirst,
});

describe("forwards", () => {
  test("expose, with every key", async () => {
    const spec = await only(`[[expose]]
name = "game"
ports = "8810-8815"
protocol = "tcp+udp"
to = "192.168.1.20"
as = "9000-9005"
allow = ["198.51.100.0/24", "2001:db8::7"]
deny = ["198.51.100.9"]
connections = 100
connections-per-source = 5
new-per-source = "300/m"
bandwidth = "100 Mbit/s"
proxy-protocol = "v2"
idle = "10m"
udp-idle = "90s"
health-check = { interval = "30s" }
group = "den"
enabled = false
lifetime = "permanent"
`);
    expect(spec).toMatchObject({
      kind: "remote",
      to: "192.168.1.20",
      remote: {
        id: "expose/game",
        name: "game",
        group: "den",
        ports: [run("tcp", 9000, 9005, 8810), run("udp", 9000, 9005, 8810)],
        enabled: false,
        lifetimeSec: null,
        options: {
          source: { allow: ["198.51.100.0/24", "2001:db8::7/128"], deny: ["198.51.100.9/32"] },
          limits: {
            connections: 100,
            connectionsPerSource: 5,
            newPerSourcePerSec: 5,
            bandwidthBytesPerSec: 12_500_000,
          },
          proxyProtocol: "v2",
          tcpIdleSec: 600,
          udpIdleSec: 90,
          healthCheck: { intervalSec: 30, timeoutSec: 3, failures: 3 },
        },
      },
    });
  });

  test.each([
    ["a number", "ports = 80", [run("tcp", 80, 80, 80)]],
    ["any port", 'ports = "80, 90-95"\nas = "any"', [run("tcp", 0, 0, 80), run("tcp", 0, 5, 90)]],
    ["paired across runs", 'ports = "80-83"\nas = "90, 95-97"', [run("tcp", 90, 90, 80), run("tcp", 95, 97, 81)]],
    ["mapping", 'ports = "8000:80"', [run("tcp", 8000, 8000, 80)]],
  ])("expose: %s", async (_, keys, ports) => {
    const spec = await only(`[[expose]]\n${keys}`);
    expect(spec.kind === "remote" && spec.remote.ports).toEqual(ports);
  });

  test.each([
    [
      "direct",
      "listen = 8080\nto = 'db:5432'",
      { type: "direct", bind: "127.0.0.1", to: "db", ports: [run("tcp", 8080, 8080, 5432)] },
    ],
    [
      "same ports",
      "listen = '*:8000-8002'\nto = '10.0.0.7'\nprotocol = 'udp'",
      { type: "direct", bind: "*", ports: [run("udp", 8000, 8002, 8000)] },
    ],
    [
      "IPv6",
      "listen = '[::1]:80'\nto = '[2001:db8::7]:81'",
      { bind: "::1", to: "2001:db8::7", ports: [run("tcp", 80, 80, 81)] },
    ],
    ["via the relay", "listen = 80\nto = 'db'\nvia = 'relay'", { type: "local", via: { kind: "relay" } }],
    [
      "via an agent",
      "listen = 80\nto = 'db'\nvia = 'agent:office'",
      { type: "local", via: { kind: "agent", device: "office" } },
    ],
  ])("forward: %s", async (_, keys, expected) => {
    const spec = await only(`[[forward]]\n${keys}`);
    expect(spec).toMatchObject({ kind: "local", local: expected });
  });

  test("socks with a password from a private file", async () => {
    const file = join(root, "password");
    writeFileSync(file, "s3cret\n");
    chmodSync(file, 0o600);
    const text = `[[socks]]\nlisten = 1080\nvia = "relay"\nusername = "ann"\npassword-file = "password"`;
    const { forwards } = await readConfig(text, join(root, "hatchway.toml"));
    expect(forwards[0]).toMatchObject({
      local: { type: "dynamic", to: null, credentials: { username: "ann", password: "s3cret" } },
    });
    chmodSync(file, 0o644);
    expect(readConfig(text, join(root, "hatchway.toml"))).rejects.toThrow(/Others may read/);
  });

  test("ids do not depend on the place in the file, and differ when the content does", async () => {
    const a = "[[expose]]\nports = 80\n";
    const b = "[[expose]]\nports = 81\n";
    const first = await readConfig(a + b, "t.toml");
    const second = await readConfig(b + a, "t.toml");
    expect(first.forwards.map(idOf).sort()).toEqual(second.forwards.map(idOf).sort());
    expect(new Set(first.forwards.map(idOf)).size).toBe(2);
  });
});
