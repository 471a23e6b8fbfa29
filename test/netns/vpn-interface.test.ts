import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientConfig } from "../../src/core/vpn/client-config.ts";
import { addPeer, rotatePeer, type VpnPeer } from "../../src/core/vpn/peers.ts";
import { defaultVpnSettings, type VpnSettings } from "../../src/core/vpn/settings.ts";
import { desiredVpn } from "../../src/dataplanes/nat/wireguard/desired.ts";
import type { VpnInterface, VpnPeerStatus } from "../../src/dataplanes/nat/wireguard/state.ts";
import { createWireguard } from "../../src/dataplanes/nat/wireguard/wireguard.ts";
import { generatePresharedKey, generateWgKeyPair, type WgKeyPair } from "../../src/os/wireguard-key.ts";
import type { Endpoint } from "../../src/wire/endpoint.ts";
import { encodeClientConfig } from "../../src/wire/wireguard/client-config.ts";
import type { WgKey } from "../../src/wire/wireguard/key.ts";
import { describeVpnInterface } from "../contract/vpn-interface.ts";
import type { Child } from "./child.ts";
import { startService } from "./kit.ts";
import { createLab, type Host, type Lab, VISITOR_SECOND_V6 } from "./lab.ts";
import { eventually } from "./ready.ts";
import { freshInterfaceName, runIn, startClient, stopClient, sweepSockets, wireguardGoPid } from "./wireguard.ts";

/** The VPN server on the NAT box, by wireguard-go: a peer behind it, a second one, and one on the internet. */
let lab: Lab;
const calls: (readonly string[])[] = [];
const keyFiles = { made: 0 };

beforeAll(() => {
  sweepSockets();
  lab = createLab({ natRules: false });
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  sweepSockets();
});

const newKeyPath = (): string => join(lab.directory, `server-${++keyFiles.made}.key`);
const makeVpn = (
  keyPath: string,
  checkMs: number | null = null,
  onNotice: (message: string) => void = () => undefined,
) => createWireguard({ run: runIn(lab.nat, (argv) => calls.push(argv)), keyPath, checkMs, onNotice });

describeVpnInterface("WireGuard by wireguard-go", async () => {
  const own = newKeyPath();
  const exec = (...argv: string[]) => lab.exec(lab.nat, argv);
  return {
    freeName: freshInterfaceName,
    make: () => makeVpn(own),
    makeStranger: () => makeVpn(newKeyPath()),
    exists: async (name) => (await exec("ip", "link", "show", "dev", name)).exitCode === 0,
    vanish: async (name) => void (await exec("ip", "link", "delete", "dev", name)),
    changes: () => calls.filter((argv) => !argv.includes("show")).length,
    close: () => undefined,
  };
});

test("a machine without the programs, or without the rights, is told in one sentence", async () => {
  const state = desiredVpn(freshInterfaceName(), defaultVpnSettings("203.0.113.20", new Uint8Array(7)), [], 0);
  const inNat = runIn(lab.nat);
  const keyPath = newKeyPath();
  const asNobody = createWireguard({
    run: (argv, options) => inNat(["setpriv", "--reuid", "65534", "--clear-groups", ...argv], options),
    keyPath,
    checkMs: null,
  });
  const refused = await asNobody.apply(state);
  expect(refused).toEqual({
    ok: false,
    error: { kind: "permission", message: expect.stringMatching(/^ip may not set up .* as root.*\.$/) },
  });
  const bridge = freshInterfaceName();
  await lab.exec(lab.nat, ["ip", "link", "add", bridge, "type", "bridge"]);
  const taken = await makeVpn(keyPath).apply({ ...state, interface: bridge });
  expect(taken.ok ? null : taken.error.kind).toBe("refused");
  expect(taken.ok ? "" : taken.error.message).toContain("is not a WireGuard interface");
  await lab.exec(lab.nat, ["ip", "link", "delete", bridge]);
});

test("a port that another program has is told, and taken once it is free", async () => {
  await using holder = await startService(lab, lab.nat, "echo:udp:51999");
  const vpn = makeVpn(newKeyPath());
  const settings = { ...defaultVpnSettings(lab.nat.v4, new Uint8Array(7)), listenPort: 51999 };
  const state = desiredVpn(freshInterfaceName(), settings, [], 0);
  const refused = await vpn.apply(state);
  expect(refused.ok ? "" : refused.error.message).toBe(
    "Another program has the VPN's UDP port: end it, or choose another port.",
  );
  await holder.kill();
  expect((await vpn.apply(state)).ok).toBe(true);
  await vpn.close({ clean: true });
});

describe("a VPN server and its peers", () => {
  const nowMs = 1_000;
  let settings: VpnSettings;
  let name: string;
  let keyPath: string;
  let vpn: VpnInterface;
  let serverPublicKey: WgKey;
  let peers: VpnPeer[];
  const notices: string[] = [];

  const apply = async (atMs = nowMs, lastEndpoints: ReadonlyMap<WgKey, Endpoint> = new Map()) => {
    const placed = peers.map((peer) => ({ ...peer, lastEndpoint: lastEndpoints.get(peer.publicKey) ?? null }));
    const result = await vpn.apply(desiredVpn(name, settings, placed, atMs));
    if (!result.ok) throw new Error(result.error.message);
    return result.value;
  };
  const statusOf = async (peer: VpnPeer): Promise<VpnPeerStatus | undefined> => {
    const status = await vpn.status();
    if (!status.ok) throw new Error(status.error.message);
    return status.value.peers.find(({ publicKey }) => publicKey === peer.publicKey);
  };
  const fileOf = (peer: VpnPeer, { privateKey }: WgKeyPair, endpointHost = settings.endpointHost): string => {
    const routes = { kind: "split", networks: [] } as const;
    return encodeClientConfig(
      clientConfig({ ...settings, endpointHost }, peer, { privateKey, serverPublicKey }, routes),
    );
  };
  const newPeer = async (peerName: string, host: Host, expiresMs: number | null = null) => {
    const pair = generateWgKeyPair();
    const request = { id: peerName, name: peerName, mode: { kind: "blockAll" }, maxPorts: null, expiresMs } as const;
    const keys = { publicKey: pair.publicKey, presharedKey: generatePresharedKey() };
    const added = addPeer(peers, settings, { ...request, ...keys }, nowMs);
    if (!added.ok) throw new Error(added.error.message);
    peers = [...peers, added.value];
    await apply();
    const client = await startClient(host, fileOf(added.value, pair));
    return { peer: added.value, pair, client, host };
  };
  /** Who the service at the far end says asked; null when there is no answer. */
  const ask = async (from: Host, address: string, timeoutSec = 5): Promise<string | null> => {
    const target = `TCP:${address.includes(":") ? `[${address}]` : address}:7,connect-timeout=${timeoutSec}`;
    const { stdout } = await lab.exec(from, ["socat", "-u", "-T10", target, "-"]);
    return stdout === "" ? null : stdout.split(" ")[0]!.replace("::ffff:", "");
  };
  const startSteady = async (from: Host, address: string): Promise<Child> => {
    const child = lab.spawn(from, [
      process.execPath,
      "--no-env-file",
      join(import.meta.dir, "peers/udp-steady.ts"),
      address,
      "9",
      "2",
    ]);
    await child.event("started");
    return child;
  };
  const stopSteady = (child: Child) => {
    child.signal("SIGTERM");
    return child.event<{ sent: number; answered: number }>("done");
  };

  let inner: readonly Child[] = [];
  let agent: Awaited<ReturnType<typeof newPeer>>;
  let visitor: Awaited<ReturnType<typeof newPeer>>;

  beforeEach(async () => {
    settings = defaultVpnSettings(lab.nat.v4, crypto.getRandomValues(new Uint8Array(7)));
    name = freshInterfaceName();
    keyPath = newKeyPath();
    peers = [];
    notices.length = 0;
    vpn = makeVpn(keyPath, 200, (message) => notices.push(message));
    serverPublicKey = (await apply()).publicKey;
    agent = await newPeer("agent", lab.agent);
    visitor = await newPeer("visitor", lab.visitor);
    inner = await Promise.all(
      [lab.nat, lab.agent, lab.visitor].map((host) => startService(lab, host, "peer:tcp:7", "echo:udp:9")),
    );
  });
  afterEach(async () => {
    await Promise.all(inner.map((child) => child.kill()));
    await vpn.close({ clean: true });
    for (const { host, client } of [agent, visitor]) await stopClient(host, client);
  });

  const server4 = "10.77.0.1";
  const server6 = () => settings.network6.replace("/64", "1");

  test("reach the server, each other and from the server, over IPv4 and IPv6, as who they are", async () => {
    expect(await ask(lab.agent, server4)).toBe(agent.peer.v4);
    expect(await ask(lab.agent, server6())).toBe(agent.peer.v6);
    expect(await ask(lab.visitor, agent.peer.v4)).toBe(visitor.peer.v4);
    expect(await ask(lab.agent, visitor.peer.v6)).toBe(agent.peer.v6);
    expect(await ask(lab.nat, agent.peer.v4)).toBe(server4);
    expect(await ask(lab.nat, visitor.peer.v6)).toBe(server6());
    const status = await statusOf(visitor.peer);
    expect(status?.endpoint?.address).toBe(lab.visitor.v4);
    expect(Math.abs(Date.now() - (status?.latestHandshakeMs ?? 0))).toBeLessThan(60_000);
    expect(status?.receivedBytes).toBeGreaterThan(0);
    expect(status?.sentBytes).toBeGreaterThan(0);
  });

  test("reach it by IPv6 too", async () => {
    await stopClient(lab.visitor, visitor.client);
    const { peer, pair, host } = visitor;
    visitor = { ...visitor, client: await startClient(host, fileOf(peer, pair, lab.nat.v6)) };
    expect(await ask(lab.visitor, server4)).toBe(peer.v4);
    expect([lab.visitor.v6, VISITOR_SECOND_V6]).toContain((await statusOf(peer))?.endpoint?.address ?? "");
  });

  test("a peer that moves to another address is reached there", async () => {
    expect(await ask(lab.agent, server4)).toBe(agent.peer.v4);
    expect((await statusOf(agent.peer))?.endpoint?.address).toBe("192.168.77.2");
    lab.moveAgent(9);
    // wireguard-go keeps the source address of its packets until a handshake fails, 15 s on. WireGuard's apps, which hear
    // of the new network, do this; the kernel needs nothing.
    const { name: interfaceName } = agent.client;
    const endpoint = `${settings.endpointHost}:${settings.listenPort}`;
    await lab.exec(lab.agent, ["wg", "set", interfaceName, "peer", serverPublicKey, "endpoint", endpoint]);
    expect(await ask(lab.agent, server4)).toBe(agent.peer.v4);
    expect((await statusOf(agent.peer))?.endpoint?.address).toBe("192.168.77.9");
    expect(await ask(lab.nat, agent.peer.v4)).toBe(server4);
    lab.moveAgent(2);
  }, 20_000);

  test("a peer that is removed, disabled or expired is out, and the others lose nothing", async () => {
    expect(await ask(lab.agent, server4)).toBe(agent.peer.v4);
    const steady = await startSteady(lab.visitor, server4);
    const before = await statusOf(visitor.peer);
    const all = peers;
    const endMs = 50_000;
    const without: readonly [readonly VpnPeer[], number][] = [
      [all.filter((peer) => peer !== agent.peer), nowMs],
      [all.map((peer) => (peer === agent.peer ? { ...peer, disabled: true } : peer)), nowMs],
      [all.map((peer) => (peer === agent.peer ? { ...peer, expiresMs: endMs } : peer)), endMs],
    ];
    for (const [some, atMs] of without) {
      peers = [...some];
      const endpoint = (await statusOf(agent.peer))?.endpoint;
      await apply(atMs);
      expect(await ask(lab.agent, server4, 0.4)).toBeNull();
      expect(await statusOf(agent.peer)).toBeUndefined();
      peers = all;
      await apply(nowMs, new Map([[agent.peer.publicKey, endpoint!]]));
      await eventually("the agent is back", async () => (await ask(lab.agent, server4, 1)) ?? undefined);
    }
    const { sent, answered } = await stopSteady(steady);
    expect(sent).toBeGreaterThan(500);
    expect(sent - answered).toBeLessThanOrEqual(2);
    expect((await statusOf(visitor.peer))?.latestHandshakeMs).toBe(before?.latestHandshakeMs);
  }, 30_000);

  test("new keys of a peer keep its address, and the old ones open nothing", async () => {
    expect(await ask(lab.agent, server4)).toBe(agent.peer.v4);
    const pair = generateWgKeyPair();
    const rotated = rotatePeer(peers, agent.peer, { publicKey: pair.publicKey, presharedKey: null });
    if (!rotated.ok) throw new Error(rotated.error.message);
    peers = peers.map((peer) => (peer === agent.peer ? rotated.value : peer));
    await apply();
    expect(await ask(lab.agent, server4, 0.4)).toBeNull();
    await stopClient(lab.agent, agent.client);
    agent = { ...agent, peer: rotated.value, client: await startClient(lab.agent, fileOf(rotated.value, pair)) };
    expect(await ask(lab.agent, server4)).toBe(rotated.value.v4);
  }, 20_000);

  test("the program that starts again takes the running interface over, and no datagram is lost", async () => {
    expect(await ask(lab.agent, server4)).toBe(agent.peer.v4);
    const steady = await startSteady(lab.visitor, server4);
    const before = await statusOf(visitor.peer);
    await vpn.close({ clean: false });
    vpn = makeVpn(keyPath, 200);
    expect((await apply()).publicKey).toBe(serverPublicKey);
    expect((await statusOf(visitor.peer))?.latestHandshakeMs).toBe(before?.latestHandshakeMs);
    const { sent, answered } = await stopSteady(steady);
    expect(sent - answered).toBeLessThanOrEqual(1);
  });

  test("wireguard-go that dies is started again, and peers are reached although they say nothing", async () => {
    expect(await ask(lab.agent, server4)).toBe(agent.peer.v4);
    expect(await ask(lab.visitor, server4)).toBe(visitor.peer.v4);
    await vpn.status();
    const pid = wireguardGoPid(name);
    process.kill(pid!, "SIGKILL");
    await eventually("another process runs the interface", () => {
      const next = wireguardGoPid(name);
      return next !== null && next !== pid ? true : undefined;
    });
    // The server speaks first: it knows where the peers were.
    await eventually("the agent is reached", async () => (await ask(lab.nat, agent.peer.v4, 1)) ?? undefined);
    await eventually("the visitor is reached", async () => (await ask(lab.nat, visitor.peer.v6, 1)) ?? undefined);
    expect(notices).toContain(`The VPN's interface ${name} was gone; it is made again.`);
    const dumped = await lab.exec(lab.nat, ["wg", "show", name, "persistent-keepalive"]);
    expect(dumped.stdout.match(/off$/gm)).toHaveLength(2);
  }, 20_000);

  test.each([
    ["with a table of its own holds against", true],
    ["without one leaks by", false],
  ])(
    "a full tunnel of wg-quick %s a route that the local network sends",
    async (_what, ownTable) => {
      await stopClient(lab.agent, agent.client);
      const pair = generateWgKeyPair();
      const rotated = rotatePeer(peers, agent.peer, {
        publicKey: pair.publicKey,
        presharedKey: generatePresharedKey(),
      });
      if (!rotated.ok) throw new Error(rotated.error.message);
      peers = peers.map((peer) => (peer === agent.peer ? rotated.value : peer));
      await apply();
      const keys = { privateKey: pair.privateKey, serverPublicKey };
      const quick = freshInterfaceName();
      const path = join(lab.directory, `${quick}.conf`);
      const file = encodeClientConfig(clientConfig(settings, rotated.value, keys, { kind: "full", ownTable }));
      writeFileSync(path, file, { mode: 0o600 });
      const quickly = (verb: string) => lab.exec(lab.agent, ["wg-quick", verb, path]);
      expect(await quickly("up")).toMatchObject({ exitCode: 0 });
      expect(await ask(lab.agent, lab.relay.v4, 1)).toBeNull();
      expect(await ask(lab.agent, visitor.peer.v4)).toBe(rotated.value.v4);
      // What DHCP's option 121 does (TunnelVision): a route to the destination, past the tunnel.
      const route = (verb: string) =>
        lab.exec(lab.agent, ["ip", "route", verb, `${server4}/32`, "via", "192.168.77.1"]);
      await route("add");
      expect(await ask(lab.agent, server4)).toBe(ownTable ? rotated.value.v4 : lab.agent.v4);
      await route("delete");
      expect(await quickly("down")).toMatchObject({ exitCode: 0 });
      expect((await lab.exec(lab.agent, ["ip", "rule"])).stdout).not.toContain("51820");
      agent = { ...agent, client: { name: quick } };
    },
    20_000,
  );

  test("no secret is ever an argument", async () => {
    const key = (await Bun.file(keyPath).text()).trim();
    const secrets = [key, ...peers.map(({ presharedKey }) => presharedKey ?? "none")];
    const words = calls.flat();
    expect(words.length).toBeGreaterThan(10);
    expect(words.filter((word) => secrets.some((secret) => word.includes(secret)))).toEqual([]);
  });
});
