import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRoles } from "../../test/fixtures/no-roles.ts";
import type { GatewaySettings } from "../roles/gateway/settings.ts";
import { FakeGateway } from "../servers/local/fake-gateway.ts";
import { serveGatewayControl } from "../servers/local/server.ts";
import type { Io } from "./context.ts";
import { runProgram } from "./program.ts";

const data = mkdtempSync(join(tmpdir(), "hatchway-gateway-cli-"));
const gateway = new FakeGateway();
const server = serveGatewayControl(gateway, { path: join(data, "gateway.sock"), onUnexpected: () => {} });
afterAll(async () => {
  await server.close();
  rmSync(data, { recursive: true, force: true });
});

/** Runs a command in a world without anything but a gateway that never starts anything real. */
async function outcome(
  args: readonly string[],
): Promise<{ code: number; out: string; err: string; settings: GatewaySettings | null }> {
  let [out, err] = ["", ""];
  let settings: GatewaySettings | null = null;
  const io: Io = {
    env: {},
    out: (text) => (out += text),
    err: (text) => (err += text),
    stdin: async () => "",
    isTerminal: false,
    columns: 100,
    isRoot: true,
    stop: new AbortController().signal,
    stopNow: new AbortController().signal,
    onHangup: () => () => {},
    startLog: async () => {},
    roles: noRoles({
      gateway: async () => async (options) => {
        settings = await options.readSettings();
        const { wan, lan } = settings;
        const ready = {
          wan,
          lan,
          externalAddress: "203.0.113.1",
          servers: [],
          warnings: ["Mind the gap."],
          console: null,
        };
        return Object.assign(new FakeGateway(), {
          ready,
          metrics: async () => {},
          beside: () => Promise.reject(new Error("not here")),
          closed: Promise.resolve(),
        });
      },
    }),
  };
  const code = await runProgram([...args, "--data", data], io);
  return { code, out, err, settings };
}
const at = (line: string) => outcome(line.split(" "));

describe("gateway", () => {
  test("flags are laid over the config, and the ready line says what runs", async () => {
    const config = join(data, "g.toml");
    writeFileSync(config, '[gateway]\nwan = "eth9"\nlan = "br0"\nsnat-ports = "50000-60000"\n');
    const { code, out, settings } = await at(`gateway --wan eth0 --wan eth1 --json --config ${config}`);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ event: "ready", v: 1, wan: ["eth0", "eth1"], lan: ["br0"], data });
    expect(settings).toMatchObject({ snatPorts: { first: 50_000, last: 60_000 } });
  });

  test("a warning is told", async () => {
    expect((await at("gateway --wan eth0 --lan br0")).err).toContain("hatchway: Mind the gap.\n");
  });

  test.each([
    ["--wan eth/0", "--wan must be the name of a network interface"],
    ["--public 2001:db8::1", "Write an IPv4 address."],
  ])("%s is refused with a sentence", async (flags, sentence) => {
    const { code, err } = await at(`gateway ${flags}`);
    expect([code, err]).toEqual([2, expect.stringContaining(sentence)]);
  });

  test("a mistyped command is no gateway's start", async () => {
    const { code, err } = await at("gateway stopp");
    expect([code, err]).toEqual([2, expect.stringContaining('There is no command "gateway stopp"')]);
  });

  test("stop --clean reaches the running one", async () => {
    expect(await at("gateway stop --clean")).toMatchObject({ code: 0, err: expect.stringContaining("left nothing") });
    expect(gateway.stopped).toEqual({ clean: true });
  });
});

test("status --visits lists what its kernel leads, with a dash for what that does not tell", async () => {
  const known = {
    id: "a/b/1-40001",
    forwardId: "a/b",
    forwardName: "web",
    device: "phone",
    protocol: "tcp",
    visitor: "198.51.100.7:40001",
    entry: "203.0.113.1:80",
    openedMs: Date.now(),
    bytesIn: 170,
    bytesOut: 112,
  } as const;
  const unknown = {
    ...known,
    id: "a/b/2-40002",
    visitor: "198.51.100.8:40002",
    openedMs: null,
    bytesIn: null,
    bytesOut: null,
  };
  gateway.open.push(known, unknown);
  const { out } = await at("status --visits");
  expect(out).toMatch(/198\.51\.100\.7:40001 +tcp +203\.0\.113\.1:80 +web +\ds +170 B +112 B/);
  expect(out).toMatch(/198\.51\.100\.8:40002 +tcp +203\.0\.113\.1:80 +web +– +– +–/);
  expect(JSON.parse((await at("status --visits --json")).out).visits).toEqual([known, unknown]);
  gateway.open.length = 0;
});

describe("forward, with a gateway that runs", () => {
  test("add, ls and rm", async () => {
    expect(await at("forward add 8000:80 --to 192.168.1.20 --name web --allow 198.51.100.0/24")).toMatchObject({
      code: 0,
      out: "203.0.113.1:8000/tcp → 192.168.1.20:80\n",
    });
    expect(gateway.added).toMatchObject([
      { id: "mapping/web", to: "192.168.1.20", allow: [{ network: "198.51.100.0/24", port: null }] },
    ]);
    expect((await at("forward ls")).out).toContain("203.0.113.1:8000/tcp");
    expect((await at("forward set web --deny 198.51.100.9")).code).toBe(0);
    expect(gateway.changes).toEqual([["web", { deny: ["198.51.100.9"] }]]);
    expect(await at("forward rm web")).toMatchObject({ code: 0, err: "Removed web.\n" });
    expect((await at("forward rm web")).code).toBe(2);
  });

  test.each([
    ["forward add 80", "Say which client the ports lead to: --to", 2],
    ["forward add 80 --to 192.168.1.20 --as 8080", "write the ports as OUTSIDE:INSIDE", 2],
    ["forward add 80 --to 192.168.1.20 --proxy-protocol v2", "--proxy-protocol is for the forwards of an agent", 2],
    ["forward add 80 --on relay", "--on must be agent or gateway", 2],
  ])("%s is refused with a sentence", async (line, sentence, code) => {
    const refused = await at(line);
    expect([refused.code, refused.err]).toEqual([code, expect.stringContaining(sentence)]);
  });
});

test("trigger add, ls and rm", async () => {
  const added = await at("trigger add --name irc --out 6667 --in 113 --timeout 2m --first-wins");
  expect(added).toMatchObject({ code: 0, out: "irc: 6667/tcp opens 113/tcp\n" });
  expect((await at("trigger ls")).out).toContain("armed");
  expect(JSON.parse((await at("trigger ls --json")).out)).toMatchObject({
    v: 1,
    triggers: [{ name: "irc", timeoutSec: 120, secondHost: "refused" }],
  });
  expect((await at("trigger add --name irc --in 113")).err).toContain("--out");
  expect((await at("trigger rm irc")).err).toBe("Removed irc.\n");
  expect((await at("trigger rm irc")).code).toBe(2);
});

test("status shows the gateway, and what it dropped", async () => {
  const { out } = await at("status");
  expect(out).toContain("gateway 203.0.113.1");
  expect(out).toContain("not forwarded 3");
  expect(JSON.parse((await at("status --json")).out)).toMatchObject({ relay: null, agent: null, gateway: { v: 1 } });
});

test("events prints what is kept and ends", async () => {
  expect(await at("events")).toMatchObject({ code: 0, out: "2 earlier events are not kept any more\n" });
  expect((await at("events --json")).out).toBe('{"v":1,"event":"missed","count":2}\n');
});

test.each([
  ["vpn init --port 99999", '--port: Write a number from 1 to 65535, not "99999".'],
  [
    "vpn init --network hello",
    '--network: "hello" is not a network or address; write one like 192.0.2.0/24 or 2001:db8::/32.\n  hello\n  ^^^^^',
  ],
  ["vpn set phone --open-all --split", "--out, --split and --own-table are for a new file: say --rotate as well."],
  ["vpn add phone --max-ports many", '--max-ports: Write a number from 0 to 65535, not "many".'],
])("%s is refused before the gateway is asked", async (line, sentence) => {
  const { code, err } = await at(line);
  expect([code, err]).toEqual([2, `hatchway: ${sentence}\n`]);
});
