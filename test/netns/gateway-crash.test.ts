import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gatewayOf, igdLocation } from "./asking.ts";
import { type Child, parseJson } from "./child.ts";
import { type GatewaySite, launchGateway, mappings, nft, openPorts, startGateway } from "./gateway-kit.ts";
import { command, query, run } from "./hatchway.ts";
import { CONNECTS_OR_NOT, curl, startService, startVisitor } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";
import { freshInterfaceName, startClient, stopClient, sweepSockets, wireguardGoPid } from "./wireguard.ts";

setDefaultTimeout(30_000);

/** The gateway dies, its kernel state is taken away, its machine starts again: what was promised is there afterwards. */
const OF_EACH = 45;
const BY_HAND = 10;
const MANY_MAPPINGS = join(import.meta.dir, "peers/many-mappings.ts");
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
const FIRST = 20_000;
const AGAIN_MS = 5_000;
let lab: Lab;
let site: GatewaySite;
let vpnInterface: string;

beforeAll(async () => {
  sweepSockets();
  lab = createLab({ natRules: false });
  await Promise.all([
    startService(lab, lab.agent, "--host", "0.0.0.0", "echo:tcp:7000", "peer:tcp:8000"),
    startService(lab, lab.other, "--host", "0.0.0.0", "peer:tcp:8000"),
  ]);
  vpnInterface = freshInterfaceName();
  const toml = `
[upnp]
max-mappings = 1000
[vpn]
interface = "${vpnInterface}"
[[mapping]]
name = "kept"
ports = 7000
to = "192.168.77.2"
`;
  site = await startGateway(lab, toml);
}, 60_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  sweepSockets();
});

/** A visitor who was there before all of it; `whole` at its end: not a byte was lost. */
async function whileVisited(act: () => Promise<void>): Promise<void> {
  await using keeper = startVisitor(lab, lab.visitor, "keep", lab.nat.v4, 7000);
  await keeper.event("started");
  await act();
  keeper.signal("SIGTERM");
  expect(await keeper.event("done")).toMatchObject({ ended: true, error: null, whole: true });
}

interface NftElement {
  readonly map?: { readonly name: string; readonly elem?: readonly unknown[] };
}

/** `tcp 8080 -> 192.168.77.2:80`: what the kernel translates, as nft lists it. */
async function kernelPorts(): Promise<string[]> {
  const { stdout } = await nft(lab, "-j", "list", "map", "inet", "hatchway", "hw_dnat");
  // No such table: nothing is translated.
  if (stdout === "") return [];
  const { nftables } = JSON.parse(stdout) as { nftables: readonly NftElement[] };
  const elements = nftables.flatMap(({ map }) => map?.elem ?? []);
  return elements
    .map((element) => {
      const [key, data] = element as [
        { elem: { val: { concat: [string, number] } } } | { concat: [string, number] },
        { concat: [string, number] },
      ];
      const { concat } = "elem" in key ? key.elem.val : key;
      return `${concat[0]} ${concat[1]} -> ${data.concat[0]}:${data.concat[1]}`;
    })
    .sort();
}

async function listedPorts(): Promise<string[]> {
  return (await openPorts(lab, site)).map((line) => line.replace(/ \(.*/, "")).sort();
}

/** Within 5 s the kernel holds exactly what is listed. */
async function expectSame(): Promise<string[]> {
  return await eventually(
    "the kernel holds what is listed",
    async () => {
      const [kernel, listed] = await Promise.all([kernelPorts(), listedPorts()]);
      return Bun.deepEquals(kernel, listed) ? listed : undefined;
    },
    AGAIN_MS,
  );
}

/** 100 changes: programs inside that map ports, and people that add forwards. `granted`: as they are listed. */
function startChanges(first: number): { readonly done: Promise<unknown>; granted(): string[] } {
  const asking = [lab.agent, lab.other].map((host, index) => {
    const args = [gatewayOf(lab, host), first + index * OF_EACH, OF_EACH].map(String);
    return { host, child: lab.spawn(host, [...BUN, MANY_MAPPINGS, ...args]) };
  });
  const added: string[] = [];
  const adding = Array.from({ length: BY_HAND }, async (_, index) => {
    const port = first + 500 + index;
    const { exitCode } = await run(lab, site.home, "forward", "add", `${port}:8000`, "--to", lab.other.v4);
    if (exitCode === 0) added.push(`tcp ${port} -> ${lab.other.v4}:8000`);
  });
  const granted = ({ host, child }: (typeof asking)[number]) =>
    child.stdout
      .map((line) => parseJson(line))
      .filter((line) => line?.["event"] === "granted")
      .map((line) => `tcp ${line?.["external"]} -> ${host.v4}:${line?.["port"]}`);
  return {
    done: Promise.all([...asking.map(({ child }) => child.event("done", { deadlineMs: 30_000 })), ...adding]),
    granted: () => [...asking.flatMap(granted), ...added],
  };
}

function helperPid(child: { readonly pid: number }): number {
  const [helper = ""] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
  return Number(helper);
}

async function gatewayPid(): Promise<number> {
  return (await query<{ gateway: { pid: number } }>(lab, site.home, "status")).gateway.pid;
}

async function restart(): Promise<Child> {
  const startedMs = performance.now();
  site.child = await launchGateway(lab, site.home);
  expect(performance.now() - startedMs).toBeLessThan(AGAIN_MS);
  return site.child;
}

describe("killed in the middle of 100 changes", () => {
  test.each([1, 2])(
    "the gateway: what it had acknowledged is there again, no connection is cut (round %i)",
    async (round) => {
      await whileVisited(async () => {
        const location = await igdLocation(lab, lab.agent);
        const pid = await gatewayPid();
        const changes = startChanges(FIRST + round * 1000);
        await eventually("some are granted", () => (changes.granted().length >= 15 * round ? true : undefined));
        process.kill(pid, "SIGKILL");
        const granted = changes.granted();
        await site.child.exited;
        await restart();
        const listed = await expectSame();
        expect(listed).toEqual(expect.arrayContaining(granted));
        await changes.done;
        expect(await expectSame()).toEqual(expect.arrayContaining(changes.granted()));
        // Nobody said farewell: control points ask where they asked before.
        expect((await curl(lab, lab.agent, location)).stdout).toContain("InternetGatewayDevice");
      });
    },
    60_000,
  );

  test("its helper: the gateway ends with a sentence and a code, and its next start works", async () => {
    await whileVisited(async () => {
      const pid = await gatewayPid();
      const changes = startChanges(FIRST + 5000);
      await eventually("some are granted", () => (changes.granted().length >= 15 ? true : undefined));
      process.kill(helperPid({ pid }), "SIGKILL");
      expect(await site.child.exited).toBe(1);
      const told = [...site.child.stdout, ...site.child.stderr].join("\n");
      expect(told).toContain("privileged helper ended");
      expect(told).not.toContain("    at ");
      const granted = changes.granted();
      await restart();
      expect(await expectSame()).toEqual(expect.arrayContaining(granted));
      await changes.done;
      await expectSame();
    });
  }, 60_000);
});

describe("the kernel's state is taken away", () => {
  // While there are no rules the kernel translates nothing: who sends in that moment is reset, who is silent is not.
  test("nft flush ruleset by somebody else is mended within 5 s, and cuts no connection that waits", async () => {
    await using keeper = startVisitor(lab, lab.visitor, "keep", lab.nat.v4, 7000);
    await keeper.event("started");
    keeper.signal("SIGSTOP");
    await eventually("all is acknowledged", async () => {
      const { stdout } = await lab.exec(lab.agent, ["ss", "-tinH", "state", "established"]);
      return stdout.includes("unacked:") ? undefined : true;
    });
    const before = await expectSame();
    expect((await nft(lab, "flush", "ruleset")).exitCode).toBe(0);
    expect(await expectSame()).toEqual(before);
    keeper.signal("SIGCONT");
    keeper.signal("SIGTERM");
    expect(await keeper.event("done")).toMatchObject({ ended: true, error: null, whole: true });
  }, 30_000);

  test("so is one element, or a chain, of ours that somebody deletes", async () => {
    const before = await expectSame();
    await nft(lab, "flush", "map", "inet", "hatchway", "hw_dnat");
    expect(await expectSame()).toEqual(before);
    const rules = async () => (await nft(lab, "-s", "list", "table", "inet", "hatchway")).stdout.length;
    const length = await rules();
    expect((await nft(lab, "flush", "chain", "inet", "hatchway", "hw_input")).exitCode).toBe(0);
    await eventually("the chain is whole", async () => ((await rules()) === length ? true : undefined), AGAIN_MS);
  }, 30_000);

  test("the machine starts again: rules, WireGuard, connections are gone, and all is back", async () => {
    const added = await query<{ peer: { v4: string }; config: string }>(
      lab,
      site.home,
      "vpn",
      "add",
      "phone",
      "--open-all",
    );
    await lab.exec(lab.agent, ["ip", "route", "add", lab.nat.v4, "via", "192.168.77.1"]);
    const client = await startClient(lab.agent, added.config);
    const forward = ["forward", "add", "9000:8000", "--to", "phone", "--name", "to phone"];
    expect((await run(lab, site.home, ...forward)).exitCode).toBe(0);
    const reach = async () =>
      (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", ...CONNECTS_OR_NOT, `${lab.nat.v4}:9000`])).stdout;
    await eventually("the peer is reached", async () => ((await reach()) === "" ? undefined : true));
    const [before, vpn] = [await expectSame(), await query<object>(lab, site.home, "vpn", "ls")];

    site.child.signal("SIGKILL");
    await site.child.exited;
    await nft(lab, "flush", "ruleset");
    const wireguardGo = wireguardGoPid(vpnInterface);
    expect(wireguardGo).not.toBeNull();
    if (wireguardGo !== null) process.kill(wireguardGo, "SIGKILL");
    await lab.exec(lab.nat, ["ip", "link", "delete", vpnInterface]);
    await lab.exec(lab.nat, ["conntrack", "-F"]);
    await lab.exec(lab.nat, ["sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"]);

    site.child = await launchGateway(lab, site.home);
    expect(await expectSame()).toEqual(before);
    const { server, peers } = vpn as { server: object; peers: readonly { id: string; publicKey: string }[] };
    const again = await query<typeof vpn>(lab, site.home, "vpn", "ls");
    expect(again).toMatchObject({ server: { publicKey: (server as { publicKey: string }).publicKey } });
    expect((again as { peers: object[] }).peers).toHaveLength(peers.length);
    // The peer's own program begins anew; wireguard-go by itself notices after 15 s.
    await stopClient(lab.agent, client);
    await startClient(lab.agent, added.config);
    await eventually("the peer is reached again", async () => ((await reach()) === "" ? undefined : true), 20_000);
    expect(await mappings(lab, site)).toContainEqual(expect.objectContaining({ name: "to phone", state: "open" }));
  }, 60_000);
});

describe("a start beside what another start left", () => {
  test("twice with one data directory: the second is refused in a sentence, and the first one goes on", async () => {
    const flags = ["--wan", "wan", "--lan", "lan1", "--lan", "lan2", "--json"];
    const before = await expectSame();
    const second = await lab.exec(lab.nat, command(site.home, "gateway", ...flags));
    expect([second.exitCode, second.stderr]).toEqual([2, expect.stringContaining("is already running")]);
    expect(await expectSame()).toEqual(before);
  }, 20_000);
});
