import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHmac } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { askNatPmp } from "./asking.ts";
import type { Child } from "./child.ts";
import { type GatewaySite, launchGateway, startGateway } from "./gateway-kit.ts";
import { command, run } from "./hatchway.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(30_000);

/** What happens to a mapping, told to a program, to a web address, in gluetun's ways and on the command line. */
const KEY = "a key of more than sixteen bytes";
const API_KEY = "another key of more than sixteen";
const NOBODY = 65_534;
const PORT = 8_001;
const HOOK_PORT = 9_300;
const GLUETUN_PORT = 9_301;
let lab: Lab;
let site: GatewaySite;
let directory: string;
let webhook: Child;
let follower: Child;

interface Event {
  readonly id: string;
  readonly event: string;
  readonly reason?: string;
  readonly forward: { readonly name: string; readonly ports: readonly { first: number }[]; readonly to: string };
}

beforeAll(async () => {
  lab = createLab({ natRules: false });
  directory = join(lab.directory, "hooks");
  mkdirSync(directory);
  // The hooks run as the gateway's user, who writes here; its keys are its own.
  chmodSync(directory, 0o777);
  await lab.exec(lab.nat, ["chown", `${NOBODY}`, directory]);
  const script = join(directory, "tell.sh");
  writeFileSync(
    script,
    `#!/bin/sh
{ echo "$1 $HATCHWAY_EVENT $HATCHWAY_PROTOCOL $HATCHWAY_PORTS $HATCHWAY_EXTERNAL_ADDRESS $HATCHWAY_INTERNAL_ADDRESS $HATCHWAY_CLIENT $HATCHWAY_FORWARD_ORIGIN \${HATCHWAY_REASON:-none} $(id -un) \${HOME:-homeless}"; } >> ${directory}/told
`,
  );
  chmodSync(script, 0o755);
  for (const [name, key] of [
    ["hook.key", KEY],
    ["api.key", API_KEY],
  ] as const) {
    writeFileSync(join(directory, name), `${key}\n`, { mode: 0o600 });
    await lab.exec(lab.nat, ["chown", `${NOBODY}`, join(directory, name)]);
  }
  const bun = [process.execPath, "--no-env-file", "--config=/dev/null"];
  webhook = lab.spawn(lab.nat, [...bun, join(import.meta.dir, "peers/webhook-server.ts"), `${HOOK_PORT}`]);
  await webhook.event("ready");
  site = await startGateway(
    lab,
    `
[[hook]]
name = "program"
run = ["${script}", "{{PORT}}"]
client = ["192.168.77.0/24"]
[[hook]]
name = "web"
url = "http://127.0.0.1:${HOOK_PORT}/ports"
key-file = "${directory}/hook.key"
[[hook]]
name = "broken"
run = ["${directory}/no-such-program"]
[gluetun]
listen = "192.168.77.1:${GLUETUN_PORT}"
key-file = "${directory}/api.key"
status-file = "${directory}/forwarded_port"
`,
  );
  follower = lab.spawn(lab.nat, command(site.home, "events", "-f", "--json"));
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

const map = (external: number, lifetimeSec: number) =>
  askNatPmp(lab, lab.agent, { protocol: "udp", internal: external, external, lifetimeSec });
const told = (): string[] => read("told").trimEnd().split("\n");
function read(name: string): string {
  try {
    return readFileSync(join(directory, name), "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw cause;
  }
}
const statusFile = (text: string) =>
  eventually(`the status file says ${JSON.stringify(text)}`, () =>
    read("forwarded_port") === text ? true : undefined,
  );
const events = (child: Child): Event[] => child.stdout.map((line) => JSON.parse(line) as Event);
async function portForward(): Promise<unknown> {
  const url = `http://192.168.77.1:${GLUETUN_PORT}/v1/portforward`;
  return JSON.parse((await lab.exec(lab.agent, ["curl", "-s", "-m", "5", "-H", `X-API-Key: ${API_KEY}`, url])).stdout);
}

describe("a NAT-PMP mapping", () => {
  test("that opens and that is given back is told everywhere, in order", async () => {
    expect(await map(PORT, 600)).toMatchObject({ kind: "map", externalPort: PORT });
    await statusFile(`${PORT}`);
    expect(await portForward()).toEqual({ port: PORT, ports: [PORT] });
    expect(await map(PORT + 1, 600)).toMatchObject({ kind: "map" });
    await statusFile(`${PORT}\n${PORT + 1}`);
    expect(await portForward()).toEqual({ port: PORT, ports: [PORT, PORT + 1] });
    await map(PORT, 0);
    await statusFile(`${PORT + 1}`);
    await eventually("the program ran three times", () => (told().length >= 3 ? true : undefined));
    const line = (event: string, port: number, reason: string) =>
      `${port} ${event} udp ${port}/udp ${lab.nat.v4} ${lab.agent.v4} ${lab.agent.v4} natpmp ${reason} nobody homeless`;
    expect(told()).toEqual([
      line("opened", PORT, "none"),
      line("opened", PORT + 1, "none"),
      line("closed", PORT, "removed"),
    ]);
  }, 30_000);

  test("whose lease runs out is told as expired", async () => {
    expect(await map(PORT + 2, 1)).toMatchObject({ kind: "map" });
    await eventually("the program heard of its end", () =>
      told().some((line) => line.startsWith(`${PORT + 2} closed`) && line.includes(" expired ")) ? true : undefined,
    );
    await statusFile(`${PORT + 1}`);
  }, 20_000);

  test("reaches a web address with a signature that is right, each event once", async () => {
    await eventually("five requests", () => (webhook.stdout.length >= 6 ? true : undefined));
    const requests = webhook.stdout
      .slice(1)
      .map((line) => JSON.parse(line) as { method: string; id: string; signature: string; body: string });
    for (const { method, id, signature, body } of requests) {
      const [, time = "", given] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
      expect(given).toBe(createHmac("sha256", KEY).update(`${time}.${body}`).digest("hex"));
      expect(method).toBe("POST");
      expect((JSON.parse(body) as Event).id).toBe(id);
    }
    expect(new Set(requests.map(({ id }) => id)).size).toBe(requests.length);
    const story = requests
      .map(({ body }) => JSON.parse(body) as Event)
      .map(({ event, forward }) => [event, forward.ports[0]?.first]);
    expect(story).toEqual([
      ["opened", PORT],
      ["opened", PORT + 1],
      ["closed", PORT],
      ["opened", PORT + 2],
      ["closed", PORT + 2],
    ]);
  });

  test("streams to `hatchway events -f --json`, the same events", async () => {
    await eventually("five events", () => (follower.stdout.length >= 5 ? true : undefined));
    const bodies = webhook.stdout
      .slice(1)
      .map((line) => JSON.parse((JSON.parse(line) as { body: string }).body) as Event);
    expect(events(follower)).toEqual(bodies);
  });

  test("is not told to who has no key, or asks from outside", async () => {
    const url = `http://192.168.77.1:${GLUETUN_PORT}/v1/portforward`;
    const status = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "2"];
    expect((await lab.exec(lab.agent, [...status, url])).stdout).toBe("401");
    expect((await lab.exec(lab.visitor, [...status, `http://${lab.nat.v4}:${GLUETUN_PORT}/`])).stdout).toBe("000");
  });
});

test("a hook that fails is told in the log, and holds up nothing", () => {
  const log = site.child.stderr.join("\n");
  expect(log).toContain("broken");
  expect(log).not.toContain(KEY);
  expect(log).not.toContain(API_KEY);
});

describe("the gateway's own end", () => {
  test("is told as shutdown and the status file is empty; after a start all is told again", async () => {
    site.child.signal("SIGTERM");
    expect(await site.child.exited).toBe(0);
    expect(read("forwarded_port")).toBe("");
    expect(told().at(-1)).toContain(`${PORT + 1} closed`);
    expect(told().at(-1)).toContain(" shutdown ");
    expect(await follower.exited).toBe(0);
    site.child = await launchGateway(lab, site.home);
    await statusFile(`${PORT + 1}`);
    const { stdout } = await run(lab, site.home, "events", "--json");
    expect(stdout.split("\n").map((line) => (JSON.parse(line) as Event).event)).toEqual(["opened"]);
  }, 30_000);
});
