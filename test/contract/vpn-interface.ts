import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { VpnInterface, VpnState, VpnStatePeer } from "../../src/dataplanes/nat/wireguard/state.ts";
import { formatKey } from "../../src/wire/wireguard/key.ts";

/** A machine on which VPN interfaces of the implementation under test come and go. */
export interface VpnHarness {
  /** A name that no interface has. */
  freeName(): string;
  /** One more holder of the server's key: what a restart of the program makes. */
  make(): VpnInterface;
  /** A program with a key of its own. */
  makeStranger(): VpnInterface;
  exists(name: string): Promise<boolean>;
  /** The interface dies, as when somebody deletes it. */
  vanish(name: string): Promise<void>;
  /** How many changes were made to any interface so far. */
  changes(): number;
  close(): Promise<void> | void;
}

export function testPeer(seed: number, more: Partial<VpnStatePeer> = {}): VpnStatePeer {
  return {
    publicKey: formatKey(new Uint8Array(32).fill(seed)),
    presharedKey: formatKey(new Uint8Array(32).fill(seed + 100)),
    addresses: [`10.77.0.${seed}`, `fd00:99::${seed.toString(16)}`],
    lastEndpoint: null,
    ...more,
  };
}

/** What every VpnInterface does, whatever runs WireGuard (state.ts). */
export function describeVpnInterface(what: string, makeHarness: () => Promise<VpnHarness>): void {
  describe(`${what} is a VpnInterface`, () => {
    let harness: VpnHarness;
    beforeAll(async () => {
      harness = await makeHarness();
    });
    afterAll(() => harness?.close());

    const stateOf = (name: string, ...peers: readonly VpnStatePeer[]): VpnState => ({
      interface: name,
      listenPort: 51820,
      mtu: 1420,
      addresses: [
        { address: "10.77.0.1", prefix: 24 },
        { address: "fd00:99::1", prefix: 64 },
      ],
      peers,
    });
    const applied = async (vpn: VpnInterface, state: VpnState) => {
      const result = await vpn.apply(state);
      if (!result.ok) throw new Error(result.error.message);
      return result.value;
    };
    const statusOf = async (vpn: VpnInterface) => {
      const result = await vpn.status();
      if (!result.ok) throw new Error(result.error.message);
      return result.value;
    };
    const keysOf = async (vpn: VpnInterface) => (await statusOf(vpn)).peers.map(({ publicKey }) => publicKey).sort();
    const running = async (...peers: readonly VpnStatePeer[]) => {
      const state = stateOf(harness.freeName(), ...peers);
      const vpn = harness.make();
      const { publicKey } = await applied(vpn, state);
      return { vpn, state, publicKey };
    };

    test("is down before anything is applied, and may be closed", async () => {
      const vpn = harness.make();
      expect(await statusOf(vpn)).toEqual({ up: false, peers: [] });
      expect(await vpn.close({ clean: true })).toEqual({ ok: true, value: null });
    });

    test("comes up with its peers, without warnings, under the key of its file", async () => {
      const { vpn, state, publicKey } = await running(testPeer(2), testPeer(3, { presharedKey: null }));
      const never = { endpoint: null, latestHandshakeMs: null, receivedBytes: 0, sentBytes: 0 };
      const status = await statusOf(vpn);
      expect(status.up).toBe(true);
      expect(status.peers.toSorted((a, b) => a.publicKey.localeCompare(b.publicKey))).toEqual([
        { publicKey: testPeer(2).publicKey, ...never },
        { publicKey: testPeer(3).publicKey, ...never },
      ]);
      expect(await applied(vpn, state)).toMatchObject({ publicKey, warnings: [] });
      await vpn.close({ clean: true });
    });

    test("applied again, it changes nothing", async () => {
      const { vpn, state } = await running(testPeer(2), testPeer(3));
      const before = harness.changes();
      await applied(vpn, structuredClone(state));
      await applied(vpn, { ...state, peers: state.peers.toReversed() });
      expect(harness.changes()).toBe(before);
      await vpn.close({ clean: true });
    });

    test("has exactly the peers that are wanted, whoever has an address by then", async () => {
      const { vpn, state } = await running(testPeer(2), testPeer(3), testPeer(4));
      const rotated = { ...testPeer(9), addresses: testPeer(3).addresses };
      await applied(vpn, { ...state, peers: [testPeer(2), rotated] });
      expect(await keysOf(vpn)).toEqual([testPeer(2).publicKey, rotated.publicKey].sort());
      await applied(vpn, { ...state, peers: [] });
      expect(await keysOf(vpn)).toEqual([]);
      await vpn.close({ clean: true });
    });

    test("calls that come at once take turns; the last one counts", async () => {
      const { vpn, state } = await running();
      const sets = [[testPeer(2)], [testPeer(3)], [testPeer(2), testPeer(4)]];
      await Promise.all(sets.map((peers) => applied(vpn, { ...state, peers })));
      expect(await keysOf(vpn)).toEqual([testPeer(2).publicKey, testPeer(4).publicKey].sort());
      await vpn.close({ clean: true });
    });

    test("takes another name, port and network", async () => {
      const { vpn, state, publicKey } = await running(testPeer(2));
      const other = harness.freeName();
      const addresses = [{ address: "10.78.0.1", prefix: 24 }];
      const changed = { ...stateOf(other, testPeer(2, { addresses: ["10.78.0.2"] })), addresses, listenPort: 51821 };
      expect((await applied(vpn, changed)).publicKey).toBe(publicKey);
      expect([await harness.exists(state.interface), await harness.exists(other)]).toEqual([false, true]);
      await applied(vpn, { ...changed, addresses: state.addresses, mtu: 1400, peers: state.peers });
      const before = harness.changes();
      await applied(vpn, { ...changed, addresses: state.addresses, mtu: 1400, peers: state.peers });
      expect(harness.changes()).toBe(before);
      await vpn.close({ clean: true });
    });

    test.each(["", "-x", "a b", "a/b", "..", "sixteen_letters_", "a\nb", "ünter"])(
      "%j is not an interface's name",
      async (name) => {
        const before = harness.changes();
        const refused = await harness.make().apply(stateOf(name));
        expect(refused.ok ? null : refused.error.kind).toBe("refused");
        expect(harness.changes()).toBe(before);
      },
    );

    test("left running, the next start takes it over and changes nothing", async () => {
      const { vpn, state, publicKey } = await running(testPeer(2));
      expect(await vpn.close({ clean: false })).toEqual({ ok: true, value: null });
      expect(await harness.exists(state.interface)).toBe(true);
      const before = harness.changes();
      const next = harness.make();
      expect((await applied(next, state)).publicKey).toBe(publicKey);
      expect(harness.changes()).toBe(before);
      expect(await keysOf(next)).toEqual([testPeer(2).publicKey]);
      await next.close({ clean: true });
    });

    test("closed clean, it is gone, and closing again is no error", async () => {
      const { vpn, state } = await running(testPeer(2));
      expect(await vpn.close({ clean: true })).toEqual({ ok: true, value: null });
      expect(await harness.exists(state.interface)).toBe(false);
      expect(await vpn.close({ clean: true })).toEqual({ ok: true, value: null });
    });

    test("that vanished is down, and is made again", async () => {
      const { vpn, state, publicKey } = await running(testPeer(2));
      await harness.vanish(state.interface);
      expect(await statusOf(vpn)).toEqual({ up: false, peers: [] });
      expect((await applied(vpn, state)).publicKey).toBe(publicKey);
      expect(await keysOf(vpn)).toEqual([testPeer(2).publicKey]);
      await vpn.close({ clean: true });
    });

    test("another program's interface is left alone", async () => {
      const { vpn, state } = await running(testPeer(2));
      const before = harness.changes();
      const stranger = harness.makeStranger();
      const refused = await stranger.apply({ ...state, peers: [] });
      expect(refused.ok ? null : refused.error.kind).toBe("refused");
      expect(refused.ok ? "" : refused.error.message).toContain(state.interface);
      await stranger.close({ clean: true });
      expect(harness.changes()).toBe(before);
      expect(await keysOf(vpn)).toEqual([testPeer(2).publicKey]);
      await vpn.close({ clean: true });
    });
  });
}
