import { describe, expect, test } from "bun:test";
import { temporaryStore } from "../../test/fixtures/store.ts";
import type { NewVpnPeer } from "../core/vpn/peers.ts";
import { keyOf, newPeer, only, SETTINGS } from "../core/vpn/vpn.fixture.ts";
import type { Cidr } from "../wire/address.ts";
import { openStore, type Store } from "./store.ts";

async function vpnStore() {
  const fixture = await temporaryStore();
  await fixture.store.vpn.setSettings(SETTINGS, 1_000);
  return { ...fixture, vpn: fixture.store.vpn };
}

async function added(store: Store, name: string, seed: number, more: Partial<NewVpnPeer> = {}) {
  const { id: _, ...request } = newPeer(name, seed, more);
  const result = await store.vpn.add(request, 2_000);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

const kindOf = (result: { readonly ok: boolean; readonly error?: { readonly kind: string } }) =>
  result.ok ? null : (result.error?.kind ?? null);
const NEVER = { lastEndpoint: null, lastHandshakeMs: null };

describe("the VPN server", () => {
  test("is none before it is set up, and then as it was set", async () => {
    await using fixture = await temporaryStore();
    const { vpn } = fixture.store;
    expect(await vpn.settings()).toBeNull();
    const { id: _, ...request } = newPeer("phone", 2);
    expect(kindOf(await vpn.add(request, 1))).toBe("noServer");
    for (const settings of [SETTINGS, { ...SETTINGS, dns: ["10.77.0.1", "fd00::1"], mtu: 1380, listenPort: 443 }]) {
      expect(await vpn.setSettings(settings, 1_000)).toEqual({ ok: true, value: settings });
      expect(await vpn.settings()).toEqual(settings);
    }
  });

  test("keeps its networks while a peer has an address in them", async () => {
    await using fixture = await vpnStore();
    await added(fixture.store, "phone", 2);
    const moved = await fixture.vpn.setSettings({ ...SETTINGS, network4: "10.78.0.0/24" as Cidr }, 3_000);
    expect(kindOf(moved)).toBe("outside");
    expect(await fixture.vpn.settings()).toEqual(SETTINGS);
    const larger = { ...SETTINGS, network4: "10.77.0.0/16" as Cidr };
    expect((await fixture.vpn.setSettings(larger, 3_000)).ok).toBe(true);
  });
});

describe("peers", () => {
  test("come back as they were added, after a restart too", async () => {
    await using fixture = await vpnStore();
    const one = await added(fixture.store, "phone", 2, {
      presharedKey: keyOf(9),
      mode: only("8840, 8810-8815/udp, 8000:80/tcp"),
      maxPorts: 5,
      expiresMs: 90_000,
    });
    const two = await added(fixture.store, "Tablet", 3, { mode: { kind: "openAll" } });
    expect([one.v4, two.v4, two.v6]).toEqual(["10.77.0.2", "10.77.0.3", "fd01:101:101:101::3"]);
    expect(one.id).toMatch(/^[0-9a-f]{16}$/);
    const second = await openStore(fixture.path);
    expect(await second.vpn.list()).toEqual(
      [one, two].map((peer) => ({ ...peer, ...NEVER })).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    );
    await second.close();
    expect(await fixture.vpn.find(one.id)).toEqual({ ok: true, value: { ...one, ...NEVER } });
    expect(await fixture.vpn.find("TABLET")).toEqual({ ok: true, value: { ...two, ...NEVER } });
    const unknown = await fixture.vpn.find("fridge");
    expect(unknown.ok ? "" : unknown.error.message).toContain("hatchway vpn ls");
  });

  test("refused ones leave nothing", async () => {
    await using fixture = await vpnStore();
    await added(fixture.store, "phone", 2);
    for (const [request, kind] of [
      [newPeer("PHONE", 3), "nameTaken"],
      [newPeer("tablet", 2), "keyTaken"],
      [newPeer("", 3), "name"],
    ] as const) {
      const { id: _, ...rest } = request;
      expect(kindOf(await fixture.vpn.add(rest, 3_000))).toBe(kind);
    }
    expect(await fixture.vpn.list()).toHaveLength(1);
  });

  test("added at once, each gets addresses of its own", async () => {
    await using fixture = await vpnStore();
    const peers = await Promise.all(Array.from({ length: 20 }, (_, at) => added(fixture.store, `p${at}`, at + 2)));
    expect(new Set(peers.map(({ v4 }) => v4)).size).toBe(20);
    expect(new Set(peers.map(({ v6 }) => v6)).size).toBe(20);
  });

  test("change and rotate keep id and addresses; a removed one gives them back", async () => {
    await using fixture = await vpnStore();
    const { vpn } = fixture;
    const peer = await added(fixture.store, "phone", 2);
    await added(fixture.store, "tablet", 3);
    const change = { name: "Phone 2", mode: only("53/udp"), disabled: true, maxPorts: 0 };
    const changed = { ...peer, ...change };
    expect(await vpn.change("phone", change, 3_000)).toEqual({ ok: true, value: changed });
    const keys = { publicKey: keyOf(7), presharedKey: keyOf(8) };
    expect(await vpn.rotate("phone 2", keys, 4_000)).toEqual({ ok: true, value: { ...changed, ...keys } });
    expect(await vpn.find(peer.id)).toEqual({ ok: true, value: { ...changed, ...keys, ...NEVER } });
    expect(kindOf(await vpn.change(peer.id, { name: "tablet" }, 5_000))).toBe("nameTaken");
    expect(kindOf(await vpn.rotate(peer.id, { publicKey: keyOf(3), presharedKey: null }, 5_000))).toBe("keyTaken");
    expect(kindOf(await vpn.change("fridge", {}, 5_000))).toBe("unknown");

    expect((await vpn.remove(peer.id, 6_000)).ok).toBe(true);
    expect(kindOf(await vpn.remove(peer.id, 6_000))).toBe("unknown");
    expect((await added(fixture.store, "phone", 2)).v4).toBe("10.77.0.2");
  });

  test("remember where they were", async () => {
    await using fixture = await vpnStore();
    const peer = await added(fixture.store, "phone", 2);
    const endpoint = { address: "2001:db8::9", port: 4000 };
    await fixture.vpn.seen([
      { publicKey: peer.publicKey, endpoint, handshakeMs: 7_000 },
      { publicKey: keyOf(99), endpoint, handshakeMs: 7_000 },
    ]);
    await fixture.vpn.change("phone", { maxPorts: 3 }, 8_000);
    expect(await fixture.vpn.list()).toEqual([
      { ...peer, maxPorts: 3, lastEndpoint: endpoint, lastHandshakeMs: 7_000 },
    ]);
  });

  test("what happened to one is in the audit log, without a secret", async () => {
    await using fixture = await vpnStore();
    const { store, vpn } = fixture;
    const peer = await added(store, "phone", 2, { presharedKey: keyOf(9) });
    await vpn.change("phone", { mode: only("8840") }, 3_000, "owner");
    await vpn.rotate("phone", { publicKey: keyOf(7), presharedKey: keyOf(8) }, 4_000);
    await vpn.remove("phone", 5_000);
    const entries = await store.audit.list({ subject: `vpn-peer:${peer.id}` });
    expect(entries.map(({ action, actor }) => [action, actor])).toEqual([
      ["vpn-peer.removed", "operator"],
      ["vpn-peer.rotated", "operator"],
      ["vpn-peer.changed", "owner"],
      ["vpn-peer.added", "operator"],
    ]);
    expect(entries[0]?.detail).toEqual({ name: "phone", v4: "10.77.0.2", v6: "fd01:101:101:101::2" });
    expect(entries[2]?.detail).toEqual({ name: "phone", mode: "only 8840" });
    const log = JSON.stringify(await store.audit.list());
    for (const secret of [keyOf(9), keyOf(8)]) expect(log).not.toContain(secret);
  });
});
