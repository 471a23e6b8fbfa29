import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { clientConfig } from "../../src/core/vpn/client-config.ts";
import { generateWgKeyPair } from "../../src/os/wireguard-key.ts";
import { ApiProblem, type Client } from "../../src/servers/api/client.ts";
import type { LiveEvent, VpnPeerDraft } from "../../src/servers/api/schema.ts";
import type { Cidr } from "../../src/wire/address.ts";
import { encodeClientConfig } from "../../src/wire/wireguard/client-config.ts";
import type { WgKey } from "../../src/wire/wireguard/key.ts";
import { type ConsoleReady, firstAdmin, follow, newPerson } from "./api-kit.ts";
import { type Child, parseJson } from "./child.ts";
import { type GatewaySite, openPorts } from "./gateway-kit.ts";
import { command, HATCHWAY, newHome, run } from "./hatchway.ts";
import { CONNECTS_OR_NOT, startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";
import { freshInterfaceName, startClient, sweepSockets } from "./wireguard.ts";

setDefaultTimeout(40_000);

/** A real gateway's API: the administrator is on a host of the LAN, visitors come from outside. */
const PORT = 7780;
const TRIGGER_SEC = 3;
let lab: Lab;
let site: GatewaySite;
let ready: ConsoleReady;
let ann: Client;

beforeAll(async () => {
  sweepSockets();
  lab = createLab({ natRules: false });
  const services = ["--host", "0.0.0.0", "peer:tcp:8000-8009", "peer:tcp:6201"];
  await Promise.all([
    startService(lab, lab.agent, ...services),
    startService(lab, lab.other, ...services),
    startService(lab, lab.relay, "peer:tcp:6112"),
  ]);
  const home = newHome(lab, lab.nat, `[vpn]\ninterface = "${freshInterfaceName()}"\n`);
  chmodSync(lab.directory, 0o711);
  chmodSync(dirname(home.config), 0o755);
  site = { home, child: await launch(home) };
  ann = await firstAdmin(lab, lab.other, ready);
}, 60_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  sweepSockets();
});

async function launch(home: GatewaySite["home"]): Promise<Child> {
  const flags = ["--wan", "wan", "--lan", "lan1", "--lan", "lan2", "--console", `0.0.0.0:${PORT}`, "--json"];
  const child = lab.spawn(home.host, command(home, "gateway", ...flags));
  ({ console: ready } = await child.event<{ console: ConsoleReady }>("ready", { deadlineMs: 20_000 }));
  return child;
}

/** Empty = nobody answers. */
const reach = async (port: number): Promise<string> =>
  (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", ...CONNECTS_OR_NOT, `${lab.nat.v4}:${port}`])).stdout;

async function problemOf(asked: Promise<unknown>): Promise<number> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof ApiProblem) return error.problem.status;
    throw error;
  }
  return 200;
}

describe("the console of a gateway", () => {
  test("answers inside, by the address that its line says, and nobody outside", async () => {
    expect(ready.url).toBe(`https://192.168.77.1:${PORT}`);
    expect((await ann.getMe()).role).toBe("admin");
    const outside = await lab.exec(lab.visitor, ["curl", "-sk", "-m", "2", `https://${lab.nat.v4}:${PORT}/v1/me`]);
    expect([outside.exitCode, outside.stdout]).toEqual([28, ""]);
    const page = await lab.exec(lab.other, [
      "curl",
      "-sk",
      "-m",
      "2",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      ready.url,
    ]);
    expect(["200", "404"]).toContain(page.stdout);
  });

  test("tells what the gateway is, and keeps its own port", async () => {
    const seen = await ann.getOverview();
    expect(seen).toMatchObject({ roles: ["gateway"], publicHost: lab.nat.v4, listen: null });
    expect(seen.gateway).toMatchObject({ wan: ["wan"], externalAddress: lab.nat.v4 });
    expect(await problemOf(ann.addForward({ device: lab.agent.v4, ports: `${PORT}:8000` }))).toBe(409);
  });
});

describe("a forward", () => {
  test("is opened to a LAN host, seen by visitors, changed, checked, kept over a restart and removed", async () => {
    const made = await ann.addForward({ device: lab.agent.v4, ports: "9000:8000", name: "web" });
    expect(await reach(9000)).toStartWith(`${lab.visitor.v4} `);
    expect(await ann.checkForward(made.value.id)).toMatchObject({ target: { port: 9000, forward: "web" } });
    await ann.changeForward(made.value.id, { ports: "9001:8000" }, made.version);
    expect([await reach(9000), await reach(9001)]).toEqual(["", expect.stringContaining(lab.visitor.v4)]);
    await eventually("the visitor is counted", async () =>
      (await ann.getForward(made.value.id)).value.counters.visitorsTotal > 0 ? true : undefined,
    );
    site.child.signal("SIGTERM");
    await site.child.exited;
    site.child = await launch(site.home);
    expect(ready.setupLink).toBeNull();
    expect((await ann.listForwards()).items).toMatchObject([{ name: "web", origin: "api", editable: true }]);
    await ann.removeForward(made.value.id, null);
    expect(await reach(9001)).toBe("");
  });
});

describe("a device of the VPN", () => {
  test("set to only some ports gets those and no other; block all and open all work", async () => {
    const keys = generateWgKeyPair();
    const draft: VpnPeerDraft = {
      name: "phone",
      publicKey: keys.publicKey,
      presharedKey: null,
      mode: "only",
      ports: "8001-8002/tcp",
    };
    const { peer, server } = await ann.addVpnPeer(draft);
    const config = clientConfig(
      { ...server, network4: server.network4 as Cidr, network6: server.network6 as Cidr },
      { ...peer, presharedKey: null },
      { privateKey: keys.privateKey, serverPublicKey: server.publicKey as WgKey },
      { kind: "full", ownTable: false },
    );
    await lab.exec(lab.agent, ["ip", "route", "add", lab.nat.v4, "via", "192.168.77.1"]);
    await startClient(lab.agent, encodeClientConfig(config));
    await eventually("visitors reach the peer", async () => ((await reach(8001)) === "" ? undefined : true));
    expect(await reach(8002)).toStartWith(`${lab.visitor.v4} `);
    expect(await reach(8003)).toBe("");
    expect(await ann.getVpnPeer(peer.id)).toMatchObject({ forwarded: true, forwards: 1 });
    await eventually("it is seen where it is", async () => (await ann.getVpnPeer(peer.id)).endpoint ?? undefined);
    expect((await ann.listDevices()).items).toContainEqual(expect.objectContaining({ name: "phone", connected: true }));

    await ann.changeVpnPeer(peer.id, { mode: "block-all" });
    expect([await reach(8001), await reach(8002), await openPorts(lab, site)]).toEqual(["", "", []]);

    await ann.changeVpnPeer(peer.id, { mode: "open-all" });
    await ann.addForward({ device: "phone", ports: "8003" });
    const asked = await lab.exec(lab.agent, ["natpmpc", "-g", "10.77.0.1", "-a", "8004", "8004", "tcp", "60"]);
    expect(asked.stdout).toContain("Mapped public port 8004");
    expect([await reach(8003), await reach(8004)]).not.toContain("");

    // A port that somebody has: refused, and as it was.
    await ann.addForward({ device: lab.other.v4, ports: "8005" });
    expect(await problemOf(ann.changeVpnPeer(peer.id, { mode: "only", ports: "8005/tcp" }))).toBe(409);
    expect(await ann.getVpnPeer(peer.id)).toMatchObject({ mode: "open-all", ports: null });
    expect(await reach(8003)).not.toBe("");

    await ann.removeVpnPeer(peer.id);
    expect([await reach(8003), await reach(8004)]).toEqual(["", ""]);
    await eventually("only the other's is left", async () =>
      (await openPorts(lab, site)).length === 1 ? true : undefined,
    );
  });
});

describe("live", () => {
  /** upnpc, told where the gateway is, takes one with an address of a documentation range for connected, too. */
  const addByUpnp = async (port: number, lifetimeSec: number): Promise<void> => {
    // It listens for 2 s, of which the gateway may take a part: UPnP has answers come one after the other.
    const url = await eventually("the gateway is found", async () => {
      const found = await lab.exec(lab.other, ["upnpc", "-m", "eth0", "-s"]);
      return /desc: (\S+)/.exec(found.stdout)?.[1];
    });
    const asked = ["-a", lab.other.v4, `${port}`, `${port}`, "tcp", `${lifetimeSec}`];
    await lab.exec(lab.other, ["upnpc", "-u", url, "-i", ...asked]);
  };
  /** The next event, from that line on, that is so. */
  const next = (events: Child, what: string, isIt: (event: LiveEvent) => boolean) =>
    events.line(what, (line) => {
      const event = parseJson(line) as LiveEvent | null;
      return event !== null && isIt(event) ? event : undefined;
    });

  test("a UPnP mapping appears with its end, and goes; a port trigger opens and closes", async () => {
    const { secret } = await ann.makeToken({ name: "live", scopes: ["all"], lifetimeSec: null });
    await using events = follow(lab, lab.other, ready.url, secret);
    await events.event("traffic");
    await addByUpnp(8007, 5);
    const opened = await next(
      events,
      "mapping",
      (event) => event.event === "forward" && event.forward.ports.startsWith("8007"),
    );
    if (opened.event !== "forward") throw new Error("another event");
    const { forward } = opened;
    expect(forward).toMatchObject({ origin: "igd", editable: false, removable: true, device: { name: lab.other.v4 } });
    expect((forward.leaseEndsMs ?? 0) - Date.now()).toBeLessThan(5_500);
    await next(events, "its end", (event) => event.event === "forward-gone" && event.id === forward.id);

    await ann.addTrigger({ name: "game", out: "6112", in: "6201", timeoutSec: TRIGGER_SEC });
    await lab.exec(lab.other, ["socat", "-u", `TCP4:${lab.relay.v4}:6112,connect-timeout=2`, "-"]);
    const open = await next(events, "trigger", (event) => event.event === "trigger" && event.trigger.state === "open");
    expect(open).toMatchObject({ trigger: { id: "game", host: lab.other.v4, closesMs: expect.any(Number) } });
    const at = events.stdout.length - 1;
    await events.line("armed again", (line) => {
      const event = parseJson(line) as LiveEvent | null;
      const isArmed = event?.event === "trigger" && event.trigger.state === "armed";
      return isArmed && events.stdout.lastIndexOf(line) >= at ? true : undefined;
    });
    await ann.removeTrigger("game");
    await events.event("trigger-gone");
    // What was told once is not told again while it stays.
    const times = events.stdout.filter(
      (line) => line.includes(`"${forward.id}"`) && line.includes('"event":"forward"'),
    );
    expect(times.length).toBe(1);
  });

  test("what an app asked for can be taken away", async () => {
    await addByUpnp(8008, 600);
    const [found] = (await ann.listForwards({ text: "8008" })).items;
    expect(await reach(8008)).not.toBe("");
    await ann.removeForward(found?.id ?? "", null);
    expect(await reach(8008)).toBe("");
  });
});

test("commands elsewhere ask it as those on its own machine do", async () => {
  const { secret } = await ann.makeToken({ name: "elsewhere", scopes: ["all"], lifetimeSec: null });
  const token = join(lab.directory, "token");
  writeFileSync(token, secret, { mode: 0o600 });
  const ca = join(site.home.data, "relay-cert.pem");
  const there = (...args: readonly string[]) =>
    lab.exec(lab.other, [HATCHWAY, ...args, "--remote", ready.url, "--token-file", token, "--ca", ca]);
  const done = async (asked: ReturnType<typeof there>): Promise<string> => {
    const { exitCode, stdout, stderr } = await asked;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.any(String) });
    return stdout;
  };
  const made = await done(there("vpn", "add", "elsewhere", "--only", "8008/tcp", "--expires", "1d", "--json"));
  expect(JSON.parse(made)).toMatchObject({ peer: { mode: "only 8008/tcp", forwards: 0 } });
  expect(JSON.parse(made).config).toContain("PrivateKey = ");
  await done(there("vpn", "set", "elsewhere", "--open-all", "--rotate"));
  await done(there("forward", "add", "8008", "--device", "elsewhere", "--name", "from-elsewhere"));
  await done(there("trigger", "add", "--name", "elsewhere", "--out", "6999", "--in", "7000-7001/udp"));
  for (const line of [
    ["vpn", "ls"],
    ["trigger", "ls"],
  ] as const) {
    const [told, own] = [await done(there(...line, "--json")), await done(run(lab, site.home, ...line, "--json"))];
    expect(JSON.parse(told)).toEqual(JSON.parse(own));
  }
  expect(await done(there("forward", "ls"))).toContain("from-elsewhere");
  await done(there("trigger", "rm", "elsewhere"));
  await done(there("vpn", "rm", "elsewhere"));
  expect(await done(run(lab, site.home, "vpn", "ls"))).not.toContain("elsewhere");
  const nobody = await there("vpn", "show", "elsewhere");
  expect([nobody.exitCode, nobody.stderr]).toEqual([2, expect.stringContaining('no VPN peer "elsewhere"')]);
});

describe("another account", () => {
  test("has to do with its own peer; a viewer looks", async () => {
    const invite = async (role: "user" | "viewer", account?: string) =>
      (await ann.makeInvite({ role, ...(account === undefined ? {} : { account }) })).link;
    const bob = await newPerson(lab, lab.other, ready.url, await invite("user"), "bob");
    const { account } = await bob.getMe();
    const vic = await newPerson(lab, lab.other, ready.url, await invite("viewer", account.id), "vic");
    const add = (name: string, owner: string) =>
      ann.addVpnPeer({
        name,
        publicKey: generateWgKeyPair().publicKey,
        presharedKey: null,
        mode: "block-all",
        account: owner,
      });
    const [own, others] = [await add("bobs", account.id), await add("anns", "owner")];
    expect((await bob.listVpnPeers()).items.map(({ name }) => name)).toEqual(["bobs"]);
    expect(await problemOf(bob.getVpnPeer(others.peer.id))).toBe(404);
    expect(await problemOf(bob.changeVpnPeer(others.peer.id, { mode: "open-all" }))).toBe(404);
    expect(await problemOf(bob.changeVpnPeer(own.peer.id, { mode: "only", ports: "8009/tcp" }))).toBe(200);
    expect((await vic.listForwards()).items).toMatchObject([{ ports: "8009/tcp", device: { name: "bobs" } }]);
    expect(await problemOf(vic.changeVpnPeer(own.peer.id, { mode: "block-all" }))).toBe(403);
    expect(await problemOf(bob.addTrigger({ name: "mine", out: "1", in: "2" }))).toBe(403);
    expect(await problemOf(bob.changeVpn({ listenPort: 1 }))).toBe(403);
    const done = (await ann.listAudit()).items.filter(({ action }) => action === "mapping.opened");
    expect(done[0]).toMatchObject({ actor: "user:bob" });
  });

  test("people are listed, invited and reset on the machine, too", async () => {
    const { stdout } = await run(lab, site.home, "user", "ls");
    expect(stdout).toContain("ann");
    expect((await run(lab, site.home, "user", "invite")).stdout).toStartWith(`${ready.url}/`);
  });
});
