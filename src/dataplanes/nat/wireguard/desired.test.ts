import { describe, expect, test } from "bun:test";
import { onePeer, SETTINGS, withPeer } from "../../../core/vpn/vpn.fixture.ts";
import { NO_KEY } from "../../../wire/wireguard/key.ts";
import { decodeVpnState, desiredVpn } from "./desired.ts";

const lastEndpoints = [null, { address: "192.0.2.9", port: 4000 }];
const peers = withPeer([onePeer({ expiresMs: 5_000 })], "tablet", 3).map((peer, at) => ({
  ...peer,
  lastEndpoint: lastEndpoints[at] ?? null,
}));
const state = desiredVpn("wg0", SETTINGS, peers, 4_000);

describe("the desired state", () => {
  test("has the server's addresses and the active peers with where they were", () => {
    expect(state).toEqual({
      interface: "wg0",
      listenPort: 51820,
      mtu: 1420,
      addresses: [
        { address: "10.77.0.1", prefix: 24 },
        { address: "fd01:101:101:101::1", prefix: 64 },
      ],
      peers: peers.map(({ publicKey, v4, v6, lastEndpoint }) => ({
        publicKey,
        presharedKey: null,
        addresses: [v4, v6],
        lastEndpoint,
      })),
    });
    expect(desiredVpn("wg0", SETTINGS, peers, 5_000).peers).toHaveLength(1);
  });

  test("comes through JSON as it went in", () => {
    expect(decodeVpnState(JSON.parse(JSON.stringify(state)))).toEqual({ ok: true, value: state });
  });

  /** The state with another value at the end of a path. */
  const changed = (path: readonly (string | number)[], value: unknown): unknown => {
    const copy = JSON.parse(JSON.stringify(state));
    const holder = path.slice(0, -1).reduce((at, step) => at[step], copy);
    holder[path.at(-1)!] = value;
    return copy;
  };
  test.each<[string, unknown, string]>([
    ["nothing", undefined, "at its top"],
    ["a list", [], "at its top"],
    ["an option for a name", changed(["interface"], "-all"), "at interface"],
    ["one field more", changed(["postUp"], "reboot"), "at its top"],
    ["no port", changed(["listenPort"], 0), "at listenPort"],
    ["the default route", changed(["addresses"], [{ address: "1.2.3.4", prefix: 0 }]), "/16 to /30"],
    ["loopback", changed(["addresses"], [{ address: "127.0.0.1", prefix: 24 }]), "(loopback)"],
    ["a key with a line after it", changed(["peers", 0, "publicKey"], "\nPrivateKey = x"), "at peers.0.publicKey"],
    [
      "an address with a line after it",
      changed(["peers", 0, "addresses"], ["10.77.0.2\n[Peer]"]),
      "at peers.0.addresses.0",
    ],
    ["a preshared key of zeros", changed(["peers", 0, "presharedKey"], NO_KEY), "at peers.0.presharedKey"],
    ["an address outside", changed(["peers", 0, "addresses"], ["192.168.1.1"]), "peer 0 is outside"],
    ["the server's address", changed(["peers", 1, "addresses"], ["10.77.0.1"]), "peer 1 has another's address"],
    ["another's address", changed(["peers", 1, "addresses"], ["10.77.0.2"]), "peer 1 has another's address"],
    ["another's key", changed(["peers", 1, "publicKey"], peers[0]!.publicKey), "peer 1 has another's key"],
    [
      "a name to call",
      changed(["peers", 0, "lastEndpoint"], { address: "a.example", port: 1 }),
      "at peers.0.lastEndpoint.address",
    ],
  ])("with %s is refused", (_what, json, words) => {
    const decoded = decodeVpnState(json);
    expect(decoded.ok ? "" : decoded.error.message).toContain(words);
  });
});
