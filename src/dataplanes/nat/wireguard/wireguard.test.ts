import { describe, expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { testPeer } from "../../../../test/contract/vpn-interface.ts";
import { temporaryDirectory } from "../../../../test/fixtures/directory.ts";
import { type World, wireguardWorld } from "../../../../test/fixtures/wireguard-programs.ts";
import { programFailure } from "./failure.ts";
import type { VpnState } from "./state.ts";
import { createWireguard, type WireguardOptions } from "./wireguard.ts";

const STATE: VpnState = {
  interface: "wg0",
  listenPort: 51820,
  mtu: 1420,
  addresses: [
    { address: "10.77.0.1", prefix: 24 },
    { address: "fd00:99::1", prefix: 64 },
  ],
  peers: [testPeer(2)],
};

async function vpnIn(world: World, more: Partial<WireguardOptions> = {}) {
  const directory = await temporaryDirectory();
  const keyPath = join(directory.path, "wg.key");
  const vpn = createWireguard({ run: world.run, keyPath, checkMs: null, ...more });
  return { vpn, keyPath, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

describe("what cannot be is told in one sentence", () => {
  test.each<[string, Parameters<typeof wireguardWorld>[0], string, string]>([
    ["no ip", { missing: ["ip"] }, "missing", "install the package iproute2"],
    ["no wg", { missing: ["wg"] }, "missing", "install the package wireguard-tools"],
    [
      "no WireGuard at all",
      { kernel: false, missing: ["wireguard-go"] },
      "unsupported",
      "install the package wireguard-go",
    ],
    ["no rights", { root: false }, "permission", "as root, or with CAP_NET_ADMIN"],
    ["no rights with wireguard-go", { kernel: false, root: false }, "permission", "as root, or with CAP_NET_ADMIN"],
  ])("%s", async (_what, options, kind, words) => {
    await using fixture = await vpnIn(wireguardWorld(options));
    const refused = await fixture.vpn.apply(STATE);
    if (refused.ok) throw new Error("it was applied");
    expect<string>(refused.error.kind).toBe(kind);
    expect(refused.error.message).toContain(words);
    expect(refused.error.message).toMatch(/^[^\n]*\.$/);
  });

  test("an interface that is something else", async () => {
    const world = wireguardWorld();
    await using fixture = await vpnIn(world);
    await fixture.vpn.apply(STATE);
    for (const kind of ["hardware", "bridge"]) {
      world.devices.get("wg0")!.kind = kind;
      await using other = await vpnIn(world);
      const refused = await other.vpn.apply(STATE);
      expect(refused.ok ? "" : refused.error.message).toStartWith("wg0 is not a WireGuard interface");
    }
  });

  test("a private key that others may read", async () => {
    const world = wireguardWorld();
    await using fixture = await vpnIn(world);
    await fixture.vpn.apply(STATE);
    await chmod(fixture.keyPath, 0o644);
    const refused = await fixture.vpn.apply(STATE);
    expect(refused.ok ? null : refused.error.kind).toBe("key");
  });
});

test.each<[string, readonly string[], string, string, string]>([
  [
    "no TUN device",
    ["wireguard-go", "wg0"],
    "ERROR: (wg0) 2026/11/25 02:40:32 Failed to create TUN device: no such file or directory",
    "unsupported",
    "modprobe tun",
  ],
  [
    "a port that is taken",
    ["wg", "addconf", "wg0"],
    "Unable to modify interface: Address already in use",
    "refused",
    "Another program has the VPN's UDP port",
  ],
  [
    "all else",
    ["ip", "link", "set", "dev", "wg0", "up"],
    "RTNETLINK answers: No buffer space available",
    "refused",
    "ip link failed: No buffer space available.",
  ],
  ["nothing said", ["ip", "-json", "link"], "\n", "refused", "ip link failed: exit code 3."],
])("%s is classified", (_what, argv, stderr, kind, words) => {
  const failure = programFailure(argv, { exitCode: 3, stdout: "", stderr });
  expect<string>(failure.kind).toBe(kind);
  expect(failure.message).toContain(words);
});

test("a machine without IPv6 has a VPN with IPv4, and a warning", async () => {
  await using fixture = await vpnIn(wireguardWorld({ ipv6: false }));
  const applied = await fixture.vpn.apply(STATE);
  if (!applied.ok) throw new Error(applied.error.message);
  expect(applied.value.warnings).toEqual([
    "The VPN has no IPv6: ip address failed: ipv6: IPv6 is disabled on this device.",
  ]);
});

test.each([
  [true, "kernel"],
  [false, "wireguard-go"],
])("with WireGuard in the kernel: %p, it runs by %s", async (kernel, backend) => {
  await using fixture = await vpnIn(wireguardWorld({ kernel }));
  const applied = await fixture.vpn.apply(STATE);
  expect<string | null>(applied.ok ? applied.value.backend : null).toBe(backend);
});

test("an interface whose making was cut short is taken over", async () => {
  const world = wireguardWorld();
  await world.run(["ip", "link", "add", "dev", "wg0", "type", "wireguard"]);
  await using fixture = await vpnIn(world);
  expect((await fixture.vpn.apply(STATE)).ok).toBe(true);
  expect(world.devices.get("wg0")).toMatchObject({ up: true, listenPort: 51820 });
});

test("a new interface calls its peers where they were, and then lets them call", async () => {
  const world = wireguardWorld();
  await using fixture = await vpnIn(world);
  const lastEndpoint = { address: "2001:db8::9", port: 4000 };
  await fixture.vpn.apply({ ...STATE, peers: [testPeer(2, { lastEndpoint }), testPeer(3)] });
  const texts = world.calls.filter(({ argv }) => argv.includes("addconf")).map(({ input }) => input ?? "");
  expect(texts).toHaveLength(2);
  expect(texts[0]?.match(/Endpoint = \[2001:db8::9\]:4000\nPersistentKeepalive = 25\n/g)).toHaveLength(1);
  expect(texts[1]).toBe(`[Peer]\nPublicKey = ${testPeer(2).publicKey}\nPersistentKeepalive = off\n`);
  const before = world.calls.length;
  await fixture.vpn.apply({ ...STATE, peers: [testPeer(2, { lastEndpoint }), testPeer(3)] });
  expect(world.calls.slice(before).every(({ argv }) => argv.includes("show"))).toBe(true);
});

test("only what differs of a peer is told to it", async () => {
  const world = wireguardWorld();
  await using fixture = await vpnIn(world);
  await fixture.vpn.apply(STATE);
  const before = world.calls.length;
  await fixture.vpn.apply({ ...STATE, peers: [testPeer(2, { presharedKey: null })] });
  const changes = world.calls.slice(before).filter(({ argv }) => !argv.includes("show"));
  expect(changes).toEqual([
    {
      argv: ["wg", "addconf", "wg0", "/dev/stdin"],
      input: `[Peer]\nPublicKey = ${testPeer(2).publicKey}\nPresharedKey = ${"A".repeat(43)}=\n`,
    },
  ]);
});

test("many peers are removed in a few calls, and no secret is an argument", async () => {
  const world = wireguardWorld();
  await using fixture = await vpnIn(world);
  const peers = Array.from({ length: 1_200 }, (_, at) => {
    const bytes = new Uint8Array(32);
    new DataView(bytes.buffer).setUint16(0, at + 1);
    const key = Buffer.from(bytes).toString("base64") as ReturnType<typeof testPeer>["publicKey"];
    return testPeer(2, { publicKey: key, addresses: [`10.77.${(at + 2) >> 8}.${(at + 2) & 255}`] });
  });
  await fixture.vpn.apply({ ...STATE, peers });
  expect(world.devices.get("wg0")?.peers.size).toBe(1_200);
  await fixture.vpn.apply({ ...STATE, peers: [] });
  expect(world.devices.get("wg0")?.peers.size).toBe(0);
  expect(world.calls.filter(({ argv }) => argv[1] === "set")).toHaveLength(3);
  const secrets = [(await Bun.file(fixture.keyPath).text()).trim(), testPeer(2).presharedKey ?? ""];
  const words = world.calls.flatMap(({ argv }) => argv);
  expect(words.filter((word) => secrets.includes(word))).toEqual([]);
});

test("an interface that vanishes is made again, and is let go of when it is closed", async () => {
  const world = wireguardWorld();
  const noticed = Promise.withResolvers<string>();
  await using fixture = await vpnIn(world, { checkMs: 1, onNotice: noticed.resolve });
  await fixture.vpn.apply(STATE);
  world.devices.clear();
  expect(await noticed.promise).toBe("The VPN's interface wg0 was gone; it is made again.");
  await fixture.vpn.status();
  expect(world.devices.has("wg0")).toBe(true);
  await fixture.vpn.close({ clean: true });
  const calls = world.calls.length;
  // Whatever was on its way has had its turn before this one.
  await fixture.vpn.status();
  expect(world.devices.has("wg0")).toBe(false);
  expect(world.calls.slice(calls).every(({ argv }) => argv.includes("show"))).toBe(true);
});
