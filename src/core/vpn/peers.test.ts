import { describe, expect, test } from "bun:test";
import type { Cidr } from "../../wire/address.ts";
import {
  activePeers,
  addPeer,
  changePeer,
  indexPeers,
  nextExpiryMs,
  peerOutside,
  rotatePeer,
  type VpnPeer,
} from "./peers.ts";
import { keyOf, newPeer, onePeer, SETTINGS, withPeer } from "./vpn.fixture.ts";

describe("addresses", () => {
  test("are the lowest that are free, in both networks at once; the server has the first", () => {
    let peers: VpnPeer[] = [];
    for (const seed of [2, 3, 4]) peers = withPeer(peers, `p${seed}`, seed);
    expect(peers.map(({ v4 }) => v4)).toEqual(["10.77.0.2", "10.77.0.3", "10.77.0.4"]);
    expect(peers.map(({ v6 }) => v6)).toEqual(["fd01:101:101:101::2", "fd01:101:101:101::3", "fd01:101:101:101::4"]);
    const left = withPeer(peers.toSpliced(1, 1), "p5", 5);
    expect(left.map(({ v4 }) => v4)).toEqual(["10.77.0.2", "10.77.0.4", "10.77.0.3"]);
  });

  test("end with the network, and cross its bytes", () => {
    const settings = { ...SETTINGS, network4: "10.77.0.0/29" as Cidr };
    let peers: VpnPeer[] = [];
    for (let seed = 2; seed <= 6; seed++) {
      const added = addPeer(peers, settings, newPeer(`p${seed}`, seed), 1_000);
      if (!added.ok) throw new Error(added.error.message);
      peers = [...peers, added.value];
    }
    expect(peers.at(-1)?.v4).toBe("10.77.0.6");
    const full = addPeer(peers, settings, newPeer("one more", 9), 1_000);
    expect(full.ok ? null : full.error).toMatchObject({
      kind: "full",
      message: expect.stringContaining("10.77.0.0/29"),
    });

    const large = { ...SETTINGS, network4: "10.76.0.0/16" as Cidr };
    const taken = Array.from({ length: 254 }, (_, at) => ({
      ...onePeer({ id: `t${at}`, name: `t${at}` }),
      v4: `10.76.0.${at + 2}`,
    }));
    const next = addPeer(taken, large, newPeer("next", 9), 1_000);
    expect(next.ok && [next.value.v4, next.value.v6]).toEqual(["10.76.1.0", "fd01:101:101:101::100"]);
  });

  test("tell whose they are", () => {
    const peers = withPeer(withPeer([], "a", 2), "b", 3);
    const index = indexPeers(peers);
    expect(index.at("10.77.0.3")?.name).toBe("b");
    expect(index.at("fd01:101:101:101::2")?.name).toBe("a");
    expect(index.at("10.77.0.1")).toBeNull();
  });

  test.each<[string, string, string | null]>([
    ["the same networks", "10.77.0.0/24", null],
    ["a larger one", "10.77.0.0/16", null],
    ["another", "10.78.0.0/24", "a"],
    ["one whose first host is the peer", "10.77.0.2/31", "b"],
  ])("fit %s or do not", (_what, network4, name) => {
    const peers = withPeer(withPeer([], "a", 2), "b", 3);
    const changed = { ...SETTINGS, network4: network4 as Cidr };
    expect(peerOutside(peers, changed)?.name ?? null).toBe(name);
  });
});

describe("what a peer may be", () => {
  const peers = withPeer([], "Phone", 2);

  test.each<[string, Parameters<typeof newPeer>, string]>([
    ["no name", ["", 3], "name"],
    ["a blank first", [" x", 3], "name"],
    ["a control character", ["a\u001b[2J", 3], "name"],
    ["64 characters", ["a".repeat(64), 3], "name"],
    ["another's name in another case", ["pHONE", 3], "nameTaken"],
    ["another's key", ["tablet", 2, { id: "other" }], "keyTaken"],
    ["ports less than none", ["tablet", 3, { maxPorts: -1 }], "quota"],
    ["half a port", ["tablet", 3, { maxPorts: 1.5 }], "quota"],
    ["an end in the past", ["tablet", 3, { expiresMs: 5_000 }], "expired"],
  ])("%s is refused with one sentence", (_what, request, kind) => {
    const added = addPeer(peers, SETTINGS, newPeer(...request), 5_000);
    if (added.ok) throw new Error("it was taken");
    expect<string>(added.error.kind).toBe(kind);
    expect(added.error.message).toMatch(/^[A-Z].*\.$/);
  });

  test.each(["Télé 2", "xbox_one.x-s", "7"])("%s is a name", (name) => {
    expect(addPeer(peers, SETTINGS, newPeer(name, 3), 0).ok).toBe(true);
  });

  test("a change leaves keys and addresses, and may keep the peer's own name", () => {
    const peer = onePeer({ expiresMs: 2_000 });
    const changed = changePeer([peer], peer, { name: "PHONE", disabled: true, maxPorts: 3 }, 9_000);
    expect(changed).toEqual({ ok: true, value: { ...peer, name: "PHONE", disabled: true, maxPorts: 3 } });
    const past = changePeer([peer], peer, { expiresMs: 9_000 }, 9_000);
    expect(past.ok ? null : past.error.kind).toBe("expired");
    expect(changePeer([peer], peer, { expiresMs: null }, 9_000).ok).toBe(true);
  });

  test("new keys leave everything else", () => {
    const peer = onePeer({ expiresMs: 2_000 });
    const keys = { publicKey: keyOf(7), presharedKey: keyOf(8) };
    expect(rotatePeer([peer], peer, keys)).toEqual({ ok: true, value: { ...peer, ...keys } });
    const [, other] = withPeer([peer], "other", 3);
    const taken = rotatePeer([peer, other!], peer, { publicKey: keyOf(3), presharedKey: null });
    expect(taken.ok ? null : taken.error.kind).toBe("keyTaken");
  });
});

test("peers are active until their end, unless they are disabled", () => {
  let peers = withPeer([], "for ever", 2);
  peers = withPeer(peers, "soon", 3, { expiresMs: 5_000 });
  peers = withPeer(peers, "later", 4, { expiresMs: 9_000 });
  peers = peers.map((peer) => (peer.name === "later" ? { ...peer, disabled: true } : peer));
  const names = (nowMs: number) => activePeers(peers, nowMs).map(({ name }) => name);
  expect(names(4_999)).toEqual(["for ever", "soon"]);
  expect(nextExpiryMs(peers, 4_999)).toBe(5_000);
  expect(names(5_000)).toEqual(["for ever"]);
  expect(nextExpiryMs(peers, 5_000)).toBeNull();
});
